"""The agents' port with a certificate, and real processes on both sides of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from migrator.cli.main import main
from migrator.compute.agent.client import ImageClient
from migrator.db import credentials, hosts
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.errors import ImageUnavailable, ServerUnreachable
from migrator.lab.certificates import Authority
from tests.api.test_connections_process import Crowd
from tests.api.test_lease_process import Site
from tests.ports import free_port

Pair = tuple[Path, Path]


class TlsSite(Site):
    """A ``Site`` whose server has a second port for agents, and an authority."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        upgrade(self.db.url)
        self.port = free_port()
        self.ours = authority(directory / "ours")

    def tls_server(self, pair: Pair, **settings: Any) -> Any:
        return self.process(
            "server",
            database=self.db.url,
            listen=self.url.removeprefix("http://"),
            agent_listen=f"127.0.0.1:{self.port}",
            agent_tls_cert=pair[0],
            agent_tls_key=pair[1],
            image_dir=self.directory / "images",
            **settings,
        )

    def agent_of(self, host: str, url: str, **settings: Any) -> Any:
        token = credentials.issue(self.db, host)
        state = self.directory / host
        return self.process("agent", server_url=url, host=host, token=token, simulated=1, state_path=state, **settings)

    def knows(self, host: str) -> bool:
        with self.db.read() as connection:
            return bool(hosts.by_names(connection, [host]))


def authority(directory: Path) -> Authority:
    made = Authority(directory)
    made.make()
    return made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TlsSite]:
    made = TlsSite(tmp_path)
    yield made
    made.http.close()
    made.db.close()


def test_an_agent_registers_over_tls_and_trusts_no_other_authority_or_name(site: TlsSite) -> None:
    url, other = f"https://127.0.0.1:{site.port}", authority(site.directory / "other").certificate
    with site.tls_server(site.ours.certify("server", "127.0.0.1")):
        site.until(site.listening, 30)
        assert "ends on" in (site.directory / "server.log").read_text()
        with site.agent_of("n1", url, server_ca=site.ours.certificate):
            site.until(lambda: site.knows("n1"), 30)
            images(url, site.db, site.ours.certificate, other)
        assert not site.says("WARNING")
        with site.agent_of("n2", url, server_ca=other):
            site.until(lambda: site.says("certificate is refused"), 30)
            site.until(lambda: site.says("the setting server_ca names"), 5)
        with site.agent_of("n2", url.replace("127.0.0.1", "localhost"), server_ca=site.ours.certificate):
            site.until(lambda: site.says("certificate is not valid for 'localhost'"), 30)
        with site.agent_of("n2", url.replace("https", "http")):
            site.until(lambda: site.says("poll failed"), 30)
        with site.agent_of("n2", site.url.replace("http", "https"), server_ca=site.ours.certificate):
            site.until(lambda: site.says("speaks no TLS at this address"), 30)
        assert not site.knows("n2")
        assert not site.says("Traceback")


def test_an_agent_comes_back_by_itself_once_its_server_has_a_good_certificate(site: TlsSite) -> None:
    bad = authority(site.directory / "other").certify("server", "127.0.0.1")
    with site.agent_of("n1", f"https://127.0.0.1:{site.port}", server_ca=site.ours.certificate):
        with site.tls_server(bad):
            site.until(lambda: site.says("certificate is refused"), 30)
        assert not site.knows("n1")
        with site.tls_server(site.ours.certify("server", "127.0.0.1")):
            site.until(lambda: site.knows("n1"), 60)


def test_handshakes_that_do_not_end_are_counted_and_closed_in_time(site: TlsSite) -> None:
    with (
        site.tls_server(site.ours.certify("server", "127.0.0.1"), max_connections_per_address=20),
        ExitStack() as stack,
    ):
        site.until(site.listening, 30)
        crowd = Crowd(f"https://127.0.0.1:{site.port}")
        stack.callback(crowd.close)
        crowd.send(b"\x16\x03", 100)
        site.until(lambda: crowd.open() <= 20, 20)
        assert crowd.open() >= 18, "what is left is let try"
        assert site.http.get("/healthz").status_code == 200
        site.until(lambda: crowd.open() == 0, 60)
        with site.agent_of("n1", f"https://127.0.0.1:{site.port}", server_ca=site.ours.certificate):
            site.until(lambda: site.knows("n1"), 30)
        log = (site.directory / "server.log").read_text()
        assert [log.count(message) for message in ("max_connections_per_address", "a TLS handshake failed")] == [1, 1]


def images(url: str, db: Database, ours: Path, other: Path) -> None:
    """Content comes the same way."""
    credential = credentials.issue(db, "n3")
    with pytest.raises(ImageUnavailable), ImageClient(url, credential, ours).fetch("absent"):
        pass
    refused = pytest.raises(ServerUnreachable, match="certificate is refused")
    with refused, ImageClient(url, credential, other).fetch("absent"):
        pass


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Good and bad files by what they are."""
    here = tmp_path_factory.mktemp("certified")
    made = authority(here / "authority")
    good, other = made.certify("good", "127.0.0.1"), made.certify("other", "127.0.0.1")
    expired = made.certify("expired", "127.0.0.1", days=-1)
    files = {"good": good[0], "good key": good[1], "other key": other[1]}
    files |= {"expired": expired[0], "expired key": expired[1], "folder": here, "absent": here / "absent.pem"}
    files |= {"locked key": here / "locked.pem", "text": here / "text.pem", "nameless": here / "nameless.pem"}
    files["text"].write_text("no certificate\n")
    _openssl("ec", "-in", good[1], "-out", files["locked key"], "-aes256", "-passout", "pass:word")
    _openssl("req", "-x509", "-key", good[1], "-out", files["nameless"], "-subj", "/CN=127.0.0.1", "-days", "9")
    return files


def _openssl(*message: Any) -> None:
    subprocess.run(["openssl", *map(str, message)], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("cert", "key", "why"),
    [
        ("absent", "good key", "agent_tls_cert = {absent}: No such file or directory"),
        ("good", "absent", "agent_tls_key = {absent}: No such file or directory"),
        ("folder", "good key", "agent_tls_cert = {folder}: Is a directory"),
        ("text", "good key", "is no certificate or no key"),
        ("good", "text", "is no certificate or no key"),
        ("good", "other key", "is not the key of the certificate"),
        ("good", "locked key", "has a passphrase"),
        ("expired", "expired key", "expired on"),
        ("nameless", "good key", "has no alternative name"),
        ("good", None, "agent_tls_key is missing"),
        (None, "good key", "agent_tls_cert is missing"),
    ],
)
def test_a_server_with_a_bad_certificate_does_not_start_and_says_why(
    cert: str | None,
    key: str | None,
    why: str,
    certified: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, file in (("CERT", cert), ("KEY", key)):
        if file is not None:
            monkeypatch.setenv(f"MIGRATOR_AGENT_TLS_{name}", str(certified[file]))
    monkeypatch.setenv("MIGRATOR_AGENT_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("MIGRATOR_DATABASE", f"sqlite:///{tmp_path}/migrator.db")
    assert main(["server"]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("migrator: ")
    assert why.format(**certified) in said
    assert "\n" not in said
    assert not list(tmp_path.iterdir())


def test_plain_http_to_another_machine_is_warned_about_at_both_ends(tmp_path: Path) -> None:
    program = """
import sys
from migrator import logs
from migrator.server import tls
from migrator.compute.agent import server_trust
from migrator.settings import AgentSettings, ServerSettings
logs.configure()
tls.contexts(ServerSettings(agent_listen=sys.argv[1] + ":8775"))
server_trust.check(AgentSettings(server_url=f"http://{sys.argv[1]}:8775", token="secret"))
"""
    message = {}
    for address in ("10.0.0.1", "127.0.0.1", "[::1]"):
        command = [sys.executable, "-c", program, address]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ, cwd=tmp_path)
        message[address] = done.stdout + done.stderr
    assert "agent_listen = 10.0.0.1:8775 speaks plain HTTP" in message["10.0.0.1"]
    assert "server_url = http://10.0.0.1:8775 is plain HTTP to another machine" in message["10.0.0.1"]
    assert "secret" not in message["10.0.0.1"]
    assert message["127.0.0.1"] == message["[::1]"] == ""
