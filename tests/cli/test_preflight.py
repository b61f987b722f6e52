"""What ``preflight`` and ``cpu-baseline`` print, from answers and from CPUs that hosts told of."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from migrator.cli.main import main
from migrator.cli.preflight import matrix
from migrator.compute.libvirt import cpu_baseline as baselines
from migrator.compute.libvirt.bindings import connections
from migrator.errors import Conflict
from migrator.protocol import HostCpu


def check(code: str, status: str = "passed", message: str = "", advice: str | None = None) -> dict[str, Any]:
    return {"code": code, "status": status, "message": message, "advice": advice}


def host(name: str, status: str, *checks: dict[str, Any]) -> dict[str, Any]:
    return {"host": name, "status": status, "checks": list(checks)}


SERVER = {"id": "0d5b6c1e", "name": "web", "host": "n1", "vm_state": "active"}
DEVICES = check("devices", "failed", "it holds a card", "detach it")


def test_hosts_by_checks_and_what_is_true_of_every_host_is_said_once() -> None:
    told = matrix(
        {
            "server": SERVER,
            "hosts": [
                host("n1", "failed", DEVICES, check("cpu")),
                host("n2", "failed", DEVICES, check("cpu", "unknown", "its agent has not compared it yet")),
                host("n3", "failed", DEVICES, check("cpu", "failed", "it lacks avx2", "choose another")),
            ],
        }
    )
    assert told.splitlines() == [
        "web (0d5b6c1e) on n1",
        "+------+---------+-----+",
        "| Host | devices | cpu |",
        "+------+---------+-----+",
        "| n1   | NO      | ok  |",
        "| n2   | NO      | ?   |",
        "| n3   | NO      | NO  |",
        "+------+---------+-----+",
        "every host: devices: it holds a card (detach it)",
        "n2: cpu: not known: its agent has not compared it yet",
        "n3: cpu: it lacks avx2 (choose another)",
    ]


def test_few_hosts_stand_side_by_side() -> None:
    told = matrix({"server": SERVER, "hosts": [host("n1", "failed", DEVICES, check("cpu"), check("uri", "unknown"))]})
    assert told.splitlines()[1:8] == [
        "+---------+----+",
        "| Check   | n1 |",
        "+---------+----+",
        "| devices | NO |",
        "| cpu     | ok |",
        "| uri     | ?  |",
        "+---------+----+",
    ]


def test_a_cluster_without_hosts_has_an_empty_matrix() -> None:
    assert matrix({"server": SERVER, "hosts": []}).splitlines()[0] == "web (0d5b6c1e) on n1"


class Answers:
    """Stands in for the server: one body for every request; keeps what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, body: Mapping[str, Any]) -> None:
        self.asked: list[str] = []
        real = httpx.Client

        def answer(request: httpx.Request) -> httpx.Response:
            self.asked.append(str(request.url.copy_with(scheme="http", host="s")).removeprefix("http://s:8774"))
            return httpx.Response(200, json=body)

        monkeypatch.setattr(httpx, "Client", lambda **_: real(transport=httpx.MockTransport(answer)))


@pytest.mark.parametrize(
    ("statuses", "code"), [(("passed", "failed"), 0), (("unknown", "failed"), 0), (("failed", "failed"), 1)]
)
def test_the_exit_code_tells_whether_there_is_a_host(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], statuses: Sequence[str], code: int
) -> None:
    judged = [host(f"n{number}", status, check("cpu", status, "w")) for number, status in enumerate(statuses)]
    answers = Answers(monkeypatch, {"preflight": [{"server": SERVER, "hosts": judged}]})
    assert main(["preflight", "--from", "n1", "--to", "n2", "--to", "n3"]) == code
    assert answers.asked == ["/v1/preflight?to=n2&to=n3&from=n1"]
    assert "| n0 " in capsys.readouterr().out
    assert main(["preflight", "--from", "n1", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["preflight"][0]["server"]["name"] == "web"


def test_a_host_without_servers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Answers(monkeypatch, {"preflight": []})
    assert main(["preflight", "--from", "n1"]) == 0
    assert capsys.readouterr().out == "n1 has no servers\n"


@pytest.mark.parametrize("line", [["preflight"], ["preflight", "web", "--from", "n1"]])
def test_a_server_or_a_host(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line) == 1
    assert capsys.readouterr().err == "migrator: name a server, or a host with --from or --evacuate\n"


# --- the baseline -----------------------------------------------------------------------------------------------


def cpu(*models: str, xml: str = "<cpu><model>Westmere</model></cpu>", **more: str) -> HostCpu:
    return HostCpu(xml=xml, models=models, **more)


class Libvirt:
    """In place of a libvirtd: finds ``named`` to be in common, and knows how many features each model has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, named: str, features: Mapping[str, int] | None = None) -> None:
        self.uris: list[str] = []
        self.closed = False
        self._named, self._features = named, features or {}
        monkeypatch.setattr(connections, "connect", self._connect)
        monkeypatch.setattr(baselines, "baseline_cpu", self._baseline)

    def _connect(self, uri: str) -> "Libvirt":
        self.uris.append(uri)
        return self

    def call(self, act: Any) -> Any:
        return act(self)

    def close(self) -> None:
        self.closed = True

    def _baseline(
        self, _connection: Any, arch: str, virt_type: str, cpus: Sequence[str], *, expand: bool = False
    ) -> str:
        assert (arch, virt_type) == ("x86_64", "kvm")
        if not expand:
            return f"<cpu><model>{self._named}</model></cpu>"
        (model,) = (name for name in self._features if f">{name}<" in cpus[0])
        off = "<feature policy='disable' name='x'/>" * 9
        return f"<cpu>{off}{'<feature/>' * self._features[model]}</cpu>"


def test_the_model_that_libvirt_names_is_taken_if_every_host_can_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    libvirt = Libvirt(monkeypatch, "Westmere")
    found = baselines.baseline("qemu:///x", {"a": cpu("qemu64", "Westmere"), "b": cpu("Westmere", "EPYC", "qemu64")})
    assert (found.model, found.models) == ("Westmere", ("qemu64", "Westmere"))
    assert (libvirt.uris, libvirt.closed) == (["qemu:///x"], True)


def test_else_the_richest_that_every_host_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What two CPUs have in common may be a model less some features, which its name alone does not say."""
    Libvirt(monkeypatch, "EPYC", {"qemu64": 5, "Penryn": 8, "Nehalem": 8})
    hosts = {"a": cpu("qemu64", "Penryn", "Nehalem", "EPYC"), "b": cpu("qemu64", "Penryn", "Nehalem")}
    assert baselines.baseline("qemu:///x", hosts).model == "Nehalem"


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ({"a": cpu("x"), "b": cpu("x", xml=""), "c": cpu(xml="")}, "nothing is known of the CPU of b, c"),
        ({}, "nothing is known of the CPU of any host"),
        ({"a": cpu("x"), "b": cpu("x", arch="aarch64")}, "too different: a: x86_64 by kvm, b: aarch64 by kvm"),
        ({"a": cpu("x"), "b": cpu("x", virt_type="qemu")}, "too different: a: x86_64 by kvm, b: x86_64 by qemu"),
        ({"a": cpu("x"), "b": cpu("y")}, "no CPU model in common"),
    ],
)
def test_hosts_that_have_nothing_in_common(hosts: dict[str, HostCpu], text: str) -> None:
    with pytest.raises(Conflict, match=text) as refused:
        baselines.baseline("qemu:///nowhere", hosts)
    assert refused.value.advice


def test_the_lines_for_the_configuration(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    told = [{"host": name, "cpu": cpu("Westmere").model_dump(), "age_s": 1.0} for name in ("n1", "n2")]
    answers = Answers(monkeypatch, {"cpus": told})
    libvirt = Libvirt(monkeypatch, "Westmere")
    assert main(["cpu-baseline", "n1", "n2", "--connect", "qemu+tcp://n1/system"]) == 0
    assert capsys.readouterr().out == '# runs on n1, n2\ncpu_mode = "custom"\ncpu_models = ["Westmere"]\n'
    assert (answers.asked, libvirt.uris) == (["/v1/cpus?host=n1&host=n2"], ["qemu+tcp://n1/system"])
    assert main(["cpu-baseline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "Westmere"


def test_a_host_that_has_not_told_yet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Answers(monkeypatch, {"cpus": [{"host": "n1", "cpu": None, "age_s": None}]})
    assert main(["cpu-baseline"]) == 1
    assert "nothing is known of the CPU of n1 (see whether its agent runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fate", "text"),
    [
        (
            {"pool": "shared", "proof_age_s": 240.4},
            " (last proof in shared: written 240 s before its host's last word)",
        ),
        ({"pool": "shared", "proof_age_s": None}, " (last proof in shared: its host never wrote one)"),
        ({"pool": None, "proof_age_s": None}, ""),
    ],
)
def test_an_evacuations_kept_disk_is_shown_with_the_age_of_its_pools_proof(fate: Mapping[str, Any], text: str) -> None:
    kept = {"target": "vda", "kept": True, "made_from": None, "image_id": None, **fate}
    told = matrix({"server": SERVER, "hosts": [host("n2", "passed", check("cpu"))], "disks": [kept]})
    assert told.splitlines()[-1] == f"vda: kept: other hosts have it too{text}"
