"""The built package, installed without a checkout, serves, has the database's revisions, and says what it lacks."""

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from migrator.lab.process import spawn
from tests.ports import free_port
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment with the package and what it needs, and an empty folder to run it in."""

    bin: Path
    folder: Path

    def environment(self, **settings: str) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("MIGRATOR_", "PYTHON"))}
        return ours | {f"MIGRATOR_{name.upper()}": value for name, value in settings.items()}

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        command, environment = [str(self.bin / "migrator"), *arguments], self.environment(**settings)
        return subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=environment, timeout=PATIENCE * 60
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def hosts_part(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(ROOT / "packaging/agent", tmp_path_factory.mktemp("agent"))


def install(project: Path, where: Path) -> Installed:
    """Built from this checkout; the libraries' versions are the lock's."""
    python = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(where)]
    subprocess.run([*python, str(project)], check=True, timeout=PATIENCE * 60)
    (wheel,) = where.glob("*.whl")
    venv.create(where / "venv", with_pip=True)
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    (where / "versions").write_text("\n".join(line.removesuffix(" \\") for line in lock if "==" in line))
    pip = [str(where / "venv/bin/python"), "-m", "pip", "install", "-q", "--no-compile", "-c", str(where / "versions")]
    subprocess.run([*pip, str(wheel)], check=True, timeout=PATIENCE * 120)
    (where / "empty").mkdir()
    return Installed(where / "venv/bin", where / "empty")


def test_its_server_makes_a_database_and_answers(installed: Installed) -> None:
    port, log = free_port(), installed.folder / "log"
    environment = installed.environment(
        database=f"sqlite:///{installed.folder}/m.db",
        image_dir=str(installed.folder / "images"),
        listen=f"127.0.0.1:{port}",
    )
    server = spawn([str(installed.bin / "migrator"), "server"], log, environment)
    try:
        url = f"http://127.0.0.1:{port}/v2.1/flavors"
        assert wait_for(lambda: answer(url), 30, "the installed server to answer", [log]).json() == {"flavors": []}
    finally:
        server.end()


def answer(url: str) -> httpx.Response | None:
    try:
        return httpx.get(url, trust_env=False)
    except httpx.TransportError:
        return None


def test_it_brings_a_database_to_the_newest_revision(installed: Installed) -> None:
    done = installed.run("db", "upgrade", database="sqlite:///upgraded.db")
    assert (done.returncode, done.stdout) == (0, "the database is at the newest revision\n"), done.stderr
    assert (installed.folder / "upgraded.db").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "advice"), [(("lab", "status"), "from a checkout"), (("agent",), "pip install 'migrator[libvirt]'")]
)
def test_what_it_lacks_is_one_sentence(installed: Installed, arguments: tuple[str, ...], advice: str) -> None:
    done = installed.run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert advice in sentence


def test_nothing_of_the_lab_the_demo_or_the_tests_travels_with_it(installed: Installed) -> None:
    names = ["migrator", "migrator.lab", "migrator.demo", "tests", "alembic", "pytest"]
    assert has(installed, names) == ["migrator", "alembic"]  # alembic: the library


def has(installed: Installed, modules: list[str]) -> list[str]:
    """Which of the modules can be found there."""
    asked = (
        "import importlib.util as u, json\n"
        "def found(n):\n"
        "    try: return u.find_spec(n)\n"
        "    except ModuleNotFoundError: return None\n"
        f"print(json.dumps([n for n in {modules!r} if found(n)]))"
    )
    command, environment = [str(installed.bin / "python"), "-c", asked], installed.environment()
    done = subprocess.run(command, capture_output=True, text=True, cwd=installed.folder, env=environment, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


def test_a_host_gets_none_of_the_server_s_libraries(hosts_part: Installed) -> None:
    names = ["migrator", "httpx", "libvirt", "fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "psycopg"]
    names += ["migrator.compute.agent", "migrator.server", "migrator.api", "migrator.scheduler", "migrator.db"]
    assert has(hosts_part, names) == ["migrator", "httpx", "libvirt", "migrator.compute.agent"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("server",), "the server is not installed"),
        (("db", "upgrade"), "the server is not installed"),
        (("agent",), "server_url"),
    ],
)
def test_on_a_host_the_agent_starts_and_the_server_says_what_to_install(
    hosts_part: Installed, arguments: tuple[str, ...], sentence: str
) -> None:
    done = hosts_part.run(*arguments, server_url="ftp://nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
