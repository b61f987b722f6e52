"""The commands of the tutorial and of the everyday page are typed as they stand there, and every page's are understood
by this release's command line."""

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from migrator.cli.main import parser
from tests.cli.verbs import ok
from tests.clients.conftest import Cloud

DOCS = Path(__file__).parents[2] / "docs"
LINE = re.compile(r"^ *(?:\$ )?migrator ([a-z][^#\n;]*)", re.MULTILINE)
FENCE = re.compile(r"```(?:sh|console|bash|)\n(.*?)```", re.DOTALL)
REPORTS = ("preflight", "what-if", "capacity", "reconcile")  # exit status 1: what was asked about is not so

MADE = {"flavor-create": "flavor-list", "image-create": "image-list"}


def commands(page: str, heading: str = "") -> Iterator[list[str]]:
    """The words of each command in the page's blocks of code, or in one section's."""
    text = (DOCS / page).read_text()
    if heading:
        text = re.split(r"^## ", text.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    indented = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    for found in LINE.findall("\n".join([indented, *FENCE.findall(text)])):
        yield shlex.split(found)


def test_every_page_s_commands_are_understood() -> None:
    read, refused = 0, []
    for page in sorted(path.name for path in DOCS.glob("*.md")):
        for parts in commands(page):
            if page in ("cli.md",) or "..." in parts or parts[0] == "lab":
                continue
            read += 1
            typed = ["1" if word in ("ID", "NUMBER") else word for word in parts]
            with contextlib.redirect_stderr(io.StringIO()) as said:
                try:
                    parser().parse_args(typed)
                except SystemExit:
                    refused.append((page, shlex.join(parts), said.getvalue().strip().splitlines()[-1:]))
    assert read > 60
    assert refused == []


@pytest.fixture(scope="module")
def typed(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What a reader types in place of the page's words. Servers, networks and images are gone afterwards."""
    image = tmp_path_factory.mktemp("image") / "debian.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "1G"], check=True)
    own = {"debian.qcow2": str(image), "debian-12-genericcloud-amd64.qcow2": str(image)}
    yield own
    cloud.delete(*(server["name"] for server in cloud.get("/servers")["servers"] if server["name"].startswith("web-")))


@pytest.mark.clients
@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("installation.md", "The first move"),
        ("using.md", "Boot and move"),
        ("using.md", "Empty a host, and fill it again"),
    ],
)
def test_they_do_what_the_page_says(cloud: Cloud, typed: Mapping[str, str], page: str, heading: str) -> None:
    lines = list(commands(page, heading))
    assert len(lines) >= 5
    begin_anew(cloud, [parts[1] for parts in lines if parts[0] == "boot"])
    for parts in lines:
        made = MADE.get(parts[0])
        if made and parts[1] in {row["name"] for row in cloud.migrator(made, "--json").json}:
            continue  # another section did it
        done = cloud.migrator(*(typed.get(word, word) for word in parts))
        assert done.code == 0 or (parts[0] in REPORTS and done.out), (parts, done.out + done.err)
        if parts[0] in ("live-migration", "boot"):
            assert cloud.state(parts[1])[0] == "ACTIVE", ok(done)


def begin_anew(cloud: Cloud, names: list[str]) -> None:
    there = {server["name"] for server in cloud.get("/servers")["servers"]}
    cloud.delete(*(name for name in names if name in there))
