"""The API with a certificate and ``http_basic``: real processes and the real clients."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrator.cli.main import main
from migrator.lab.certificates import Authority
from tests import documented
from tests.api.callers import files
from tests.api.test_agent_tls import TlsSite, authority

BINARIES = Path(sys.executable).parent
ALONE = {"auth_strategy": "http_basic"}


class Secured(TlsSite):
    """Its API speaks TLS, and asks for a name and a password."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.cert, self.key = directory / "cert.pem", directory / "key.pem"
        self.install(self.ours)
        self.https = self.url.replace("http://", "https://")

    def install(self, of: Authority) -> None:
        cert, key = of.certify("api", "127.0.0.1")
        shutil.copyfile(key, self.key)
        shutil.copyfile(cert, self.cert)

    def server(self) -> Any:
        passwords, roles = files(self.directory)
        return self.process(
            "server",
            database=self.db.url,
            listen=self.url.removeprefix("http://"),
            image_dir=self.directory / "images",
            tls_cert=self.cert,
            tls_key=self.key,
            http_basic_auth_user_file=passwords,
            http_basic_auth_roles_file=roles,
            **ALONE,
        )

    def get(self, path: str, of: Authority, auth: Any = ("reader", "password of reader")) -> httpx.Response:
        context = ssl.create_default_context(cafile=str(of.certificate))
        return httpx.get(f"{self.https}{path}", verify=context, auth=auth, trust_env=False)

    def answers(self, of: Authority) -> bool:
        try:
            return self.get("/healthz", of).status_code == 200
        except httpx.TransportError:
            return False

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "MIGRATOR_"))}
        message = [str(BINARIES / command[0]), *command[1:]]
        more = {"OS_CACERT": str(self.ours.certificate), "HOME": str(self.directory)}
        return subprocess.run(
            message,
            env={**kept, **more, **environment},
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Secured]:
    made = Secured(tmp_path)
    yield made
    made.http.close()
    made.db.close()


def test_a_certificate_that_changed_is_shown_and_one_that_does_not_fit_is_not(site: Secured) -> None:
    other = authority(site.directory / "other")
    with site.server():
        site.until(lambda: site.answers(site.ours), 30)
        assert site.get("/v2.1/servers", site.ours).json() == {"servers": []}
        assert site.get("/v2.1/servers", site.ours, auth=None).status_code == 401
        assert site.get("/", site.ours).json()["versions"][-1]["links"][0]["href"].startswith(f"{site.https}/")
        with pytest.raises(httpx.TransportError):
            site.http.get("/healthz")
        site.install(other)
        site.until(lambda: site.answers(other), 30)
        assert not site.answers(site.ours)
        shutil.copyfile(site.ours.certify("wrong", "127.0.0.1")[1], site.key)
        log = site.directory / "server.log"
        site.until(lambda: site.answers(other) and "is not the key of the certificate" in log.read_text(), 30)
        assert "Traceback" not in log.read_text()


def test_the_clients_work_with_a_name_and_a_password(site: Secured) -> None:
    own = {
        "https://10.0.0.1:8774": site.https,
        "alice": "admin",
        "…": "password of admin",
        "/etc/migrator/ca.pem": str(site.ours.certificate),
    }
    basic = documented.variables("http_basic", "migrator", own)
    lab = documented.variables("http_basic", "openstack", {})
    (site.directory / "clouds.yaml").write_text(documented.clouds("http_basic", own))
    with site.server():
        site.until(lambda: site.answers(site.ours), 30)
        for done in (
            site.run("migrator", "list", "--json", **basic),
            site.run("openstack", "server", "list", "-f", "json", **lab),
            site.run("openstack", "compute", "service", "list", "-f", "json", **lab),
        ):
            assert (done.returncode, json.loads(done.stdout or "null")) == (0, []), done.stderr
        limits = site.run("openstack", "limits", "show", "--absolute", "-f", "json", **lab)
        assert {"Name": "instances", "Value": 10} in json.loads(limits.stdout or "[]"), limits.stderr
        assert site.run("nova", "list", **documented.variables("http_basic", "nova", own)).returncode == 0
        wrong = site.run("migrator", "list", **(basic | {"OS_PASSWORD": "wrong"}))
        assert (wrong.returncode, "requires authentication" in wrong.stderr) == (1, True)
        nothing = site.run("migrator", "list", MIGRATOR_URL=basic["MIGRATOR_URL"], OS_AUTH_TYPE="http_basic")
        assert "OS_USERNAME is missing" in nothing.stderr
        reader = {"OS_USERNAME": "reader", "OS_PASSWORD": "password of reader"}
        refused = site.run("migrator", "service-list", **(basic | reader))
        assert "Policy doesn't allow os_compute_api:os-services:list" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "auth_strategy = none checks no caller"),
        (ALONE, "speaks plain HTTP, at which credentials can be read"),
        ({**ALONE, "allow_plain_http": "1"}, "http_basic_auth_user_file = {0}/absent: No such file or directory"),
        ({"auth_strategy": "keystone", "allow_plain_http": "1"}, "keystone_auth_url is missing"),
        ({"auth_strategy": "keystone", "keystone_auth_url": "controller"}, "expected http://HOST:PORT or https://"),
        (
            {"auth_strategy": "keystone", "allow_plain_http": "1", "keystone_auth_url": "http://c:5000/v3"},
            "keystone_password is missing",
        ),
        ({**ALONE, "tls_cert": "{0}/cert.pem"}, "tls_key is missing: tls_cert and tls_key are given both or neither"),
        ({**ALONE, "tls_cert": "{0}/cert.pem", "tls_key": "{0}/other.pem"}, "is not the key of the certificate"),
        ({"policy_file": "{0}/absent", "listen": "127.0.0.1:0"}, "policy_file = {0}/absent: No such file or directory"),
    ],
)
def test_a_server_that_others_could_reach_unasked_does_not_start_and_says_why(
    settings: dict[str, str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = authority(tmp_path / "authority")
    shutil.copyfile(made.certify("good", "10.0.0.1")[0], tmp_path / "cert.pem")
    shutil.copyfile(made.certify("other", "10.0.0.1")[1], tmp_path / "other.pem")
    given = {"listen": "10.0.0.1:8774", "http_basic_auth_user_file": "{0}/absent", **settings}
    for name, value in given.items():
        monkeypatch.setenv(f"MIGRATOR_{name.upper()}", value.format(tmp_path))
    monkeypatch.setenv("MIGRATOR_DATABASE", f"sqlite:///{tmp_path}/migrator.db")
    monkeypatch.setenv("MIGRATOR_IMAGE_DIR", f"{tmp_path}/images")
    assert main(["server"]) == 1
    assert why.format(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "migrator.db").exists()
