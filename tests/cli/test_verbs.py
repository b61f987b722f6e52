"""Every verb of the command line as a process, against a running server with simulated hosts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.cli.main import parser
from migrator.scheduler.checks.filters import CODES
from tests.clients.conftest import HOSTS, Cloud, Ran

pytestmark = pytest.mark.clients


def ok(ran: Ran) -> str:
    assert ran.code == 0, ran.out + ran.err
    return ran.out


def cells(text: str, row: int = 0) -> dict[str, str]:
    """A row of a printed table, by column."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    titles, found = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], lines[row + 1]))
    return dict(zip(titles, found, strict=True))


def properties(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    pairs = [[cell.strip() for cell in line.strip("|").split("|", 1)] for line in lines]
    assert pairs[0] == ["Property", "Value"]
    return {pair[0]: pair[1] for pair in pairs[1:]}


@pytest.fixture
def vm(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a server of this test's own, ACTIVE, of flavor "1" or the one named; deleted afterwards."""
    name = re.sub(r"[^a-z-]+", "-", request.node.name)[:40].strip("-")
    cloud.boot(name, getattr(request, "param", "1"))
    yield name
    cloud.delete(name)


def test_every_verb_is_driven_here() -> None:
    """A verb that nobody drives is not tested: this list is the command line's own, and each name is used below."""
    actions = next(action for action in parser()._actions if action.dest == "command")
    assert isinstance(actions.choices, dict)
    text = Path(__file__).read_text()
    elsewhere = {"lab", "server", "agent"}  # tests/lab; the fixtures of every suite
    assert not [verb for verb in actions.choices if verb not in elsewhere and f'"{verb}"' not in text]


# --- what does not move -----------------------------------------------------------------------------------------


def test_volumes_and_servers_that_have_them(cloud: Cloud) -> None:
    for name in ("root", "data"):
        made = ok(cloud.migrator("volume-create", name, f"nbd://10.0.0.250/{name}", "1"))
        assert cells(made)["Source"] == f"nbd://10.0.0.250:10809/{name}"
    nothing = cloud.migrator("boot", "no", "--flavor", "m1.nano")
    assert (nothing.code, "--boot-volume" in nothing.err) == (1, True)
    ok(cloud.migrator("boot", "on", "--flavor", "m1.nano", "--boot-volume", "root", "--volume", "data", "--poll"))
    listed = {row["name"]: row for row in json.loads(ok(cloud.migrator("volume-list", "--json")))}
    assert [listed[name]["target"] for name in ("root", "data")] == ["vda", "vdb"]
    ok(cloud.migrator("live-migration", "on", "--poll"))
    refused = cloud.migrator("volume-delete", "data")
    assert refused.code == 1
    assert "attached" in refused.err
    ok(cloud.migrator("delete", "on", "--poll"))
    ok(cloud.migrator("volume-delete", "root", "data"))
    assert json.loads(ok(cloud.migrator("volume-list", "--json"))) == []


def test_a_servers_life(cloud: Cloud) -> None:
    booted = ok(cloud.migrator("boot", "life", "--flavor", "m1.nano", "--image", "tiny", "--poll", "--config-drive"))
    assert properties(booted)["config_drive"] == "True"
    assert "Finished" in booted
    assert properties(ok(cloud.migrator("show", "life")))["status"] == "ACTIVE"
    for verb, status in (
        ("stop", "SHUTOFF"),
        ("start", "ACTIVE"),
        ("suspend", "SUSPENDED"),
        ("resume", "ACTIVE"),
        ("pause", "PAUSED"),
        ("unpause", "ACTIVE"),
        ("reboot", "ACTIVE"),
    ):
        assert f"Request to {verb} server life has been accepted." in ok(cloud.migrator(verb, "life", "--poll"))
        assert cloud.server("life")["status"] == status
    listed = cells(ok(cloud.migrator("list", "--name", "^life$")))
    assert (listed["Name"], listed["Status"], listed["Task State"]) == ("life", "ACTIVE", "-")
    assert ok(cloud.migrator("delete", "life", "--poll")).endswith("Finished\n")
    assert cloud.migrator("list", "--name", "^life$", "--json").json == []
    gone = cloud.migrator("show", "life")
    assert (gone.code, gone.err) == (1, "migrator: no server has the name or id life\n")


def test_flavors_and_images(cloud: Cloud, tmp_path: Path) -> None:
    made = cells(ok(cloud.migrator("flavor-create", "m1.cli", "cli", "128", "2", "1", "--ephemeral", "1")))
    assert (made["Name"], made["Memory_MiB"], made["Disk"], made["Ephemeral"]) == ("m1.cli", "128", "2", "1")
    ok(cloud.migrator("flavor-key", "m1.cli", "set", "migrator:storage=shared"))
    assert cloud.get("/flavors/cli/os-extra_specs") == {"extra_specs": {"migrator:storage": "shared"}}
    ok(cloud.migrator("flavor-key", "m1.cli", "unset", "migrator:storage"))
    assert "m1.cli" in {row["name"] for row in cloud.migrator("flavor-list", "--json").json}
    (tmp_path / "disk").write_bytes(b"disk")
    kept = ("image-create", "cli-image", "--file", str(tmp_path / "disk"), "--disk-format", "raw", "--json")
    image = cloud.migrator(*kept).json
    assert (image["size"], image["status"]) == (4, "active")
    assert "cli-image" in ok(cloud.migrator("image-list"))
    missing = cloud.migrator("image-create", "none", "--file", str(tmp_path / "nosuch"))
    assert missing.code == 1
    assert "No such file" in missing.err


def test_alarms(cloud: Cloud) -> None:
    titles = ("Since", "Kind", "Host", "Server", "Found", "What to do")
    out = ok(cloud.migrator("alarms", "--kind", "domain-gone"))
    assert [cell.strip() for cell in out.splitlines()[1].strip("|").split("|")] == list(titles)
    assert isinstance(cloud.migrator("alarms", "--cleared", "--json").json, list)
    assert cloud.migrator("alarms", "--server", "nosuch").err == "migrator: no server has the name or id nosuch\n"
    unknown = cloud.migrator("alarms", "--kind", "nosuch")
    assert (unknown.code, "domain-gone" in unknown.err) == (1, True)


def test_record_and_copies_of_a_server(cloud: Cloud, vm: str) -> None:
    shown = ok(cloud.migrator("reconcile", vm))
    assert cells(shown)["Side"] == "record"
    assert cells(shown)["State"] == "active, running"
    host = cells(shown)["Host"]
    refused = cloud.migrator("reconcile", vm, "--host", next(name for name in HOSTS if name != host))
    assert (refused.code, "reports no copy of the instance" in refused.err) == (1, True)
    unknown = cloud.migrator("reconcile", "11111111-2222-3333-4444-555555555555")
    assert (unknown.code, "could not be found" in unknown.err) == (1, True)


def test_who_a_host_is_and_how_it_is_fenced(cloud: Cloud) -> None:
    fenced = cells(ok(cloud.migrator("host-fence", "n1", "--address", "192.0.2.7")))
    assert "192.0.2.7" in fenced.values()
    assert cloud.migrator("host-fence", "n1", "--address", "--action=on").code != 0
    assert "192.0.2.7" not in cells(ok(cloud.migrator("host-fence", "n1", "--unset"))).values()
    refused = cloud.migrator("host-replace", "n1", "--machine", "11111111-2222-3333-4444-555555555555")
    assert refused.code == 1
    assert refused.err.startswith("migrator: ")


def test_leftovers_of_hosts_that_have_none(cloud: Cloud) -> None:
    assert cloud.migrator("leftovers", "--json").json == []


def test_a_host_is_approved_within_limits(cloud: Cloud) -> None:
    limited = cells(ok(cloud.migrator("host-approve", "n3", "--vcpus", "1")))
    assert (limited["Host"], limited["Approved"], limited["vCPUs"]) == ("n3", "True", "1")
    assert cells(ok(cloud.migrator("host-approve", "n3")))["vCPUs"] != "1"
    assert cloud.migrator("host-approve", "n3", "--vcpus", "-1").code == 1


def test_a_host_is_deleted_only_when_nothing_is_on_it(cloud: Cloud, vm: str) -> None:
    host = cloud.server(vm)["OS-EXT-SRV-ATTR:host"]
    refused = cloud.migrator("host-delete", host)
    assert (refused.code, "Unable to delete compute service that is hosting instances" in refused.err) == (1, True)
    unknown = cloud.migrator("host-delete", "nosuch")
    assert unknown.err == "migrator: no host has the name nosuch (see `migrator service-list`)\n"


def test_kept_disks_of_a_server_that_has_none(cloud: Cloud, vm: str) -> None:
    assert cloud.migrator("kept-disks", "--json").json == []
    for verb in ("kept-disks-restore", "kept-disks-drop"):
        refused = cloud.migrator(verb, vm)
        assert (refused.code, f"no host keeps disks of {vm}" in refused.err) == (1, True)


def test_hosts(cloud: Cloud) -> None:
    assert set(HOSTS) <= {row["host"] for row in cloud.migrator("service-list", "--json").json}
    assert HOSTS[0] in ok(cloud.migrator("hypervisor-list"))
    out = cells(ok(cloud.migrator("service-disable", "n1", "--reason", "new disks")))
    assert list(out) == ["ID", "Host", "Binary", "Status", "Disabled Reason"]
    assert (out["Host"], out["Binary"], out["Status"], out["Disabled Reason"]) == (
        "n1",
        "nova-compute",
        "disabled",
        "new disks",
    )
    assert list(cells(ok(cloud.migrator("service-disable", "n1")))) == ["ID", "Host", "Binary", "Status"]
    assert cells(ok(cloud.migrator("service-enable", "n1")))["Status"] == "enabled"
    down = cells(ok(cloud.migrator("service-force-down", "n1")))
    assert (list(down), down["Forced down"]) == (["ID", "Host", "Binary", "Forced down"], "True")
    (listed,) = cloud.migrator("service-list", "--host", "n1", "--json").json
    assert (listed["state"], listed["forced_down"]) == ("down", True)
    (up,) = cloud.migrator("service-force-down", "n1", "--unset", "--json").json
    assert up["forced_down"] is False
    unknown = cloud.migrator("service-disable", "nosuch")
    assert (unknown.code, unknown.err) == (
        1,
        "migrator: no host has the name nosuch (see `migrator service-list`)\n",
    )


def test_database_and_credentials(cloud: Cloud, tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text(f'database = "sqlite:///{tmp_path}/own.db"\n')
    assert ok(cloud.migrator("db", "upgrade", "--config", str(config))) == "the database is at the newest revision\n"
    token = ok(cloud.migrator("agent-credential", "n9", "--config", str(config))).strip()
    assert len(token) > 20
    assert token.isprintable()


def test_what_is_told_beforehand(cloud: Cloud, vm: str) -> None:
    """All three hosts are alike: the others pass every check as soon as the agents have looked around."""
    home = cloud.state(vm)[1]

    def others() -> dict[str, str]:
        (found,) = cloud.migrator("preflight", vm, "--json").json["preflight"]
        return {judged["host"]: judged["status"] for judged in found["hosts"] if judged["host"] != home}

    cloud.until("every check passes", lambda: set(others().values()) == {"passed"})
    away = next(iter(others()))
    text = ok(cloud.migrator("preflight", vm, "--to", away))
    assert all(cells(text, row)[away] == "ok" for row in range(len(CODES)))
    assert [cells(text, row)["Check"] for row in range(len(CODES))] == list(CODES)
    assert vm in ok(cloud.migrator("preflight", "--from", home))
    alone = cloud.migrator("preflight", vm, "--to", home)
    assert (alone.code, "source: the instance is there already (choose another host)" in alone.out) == (1, True)
    none = cloud.migrator("cpu-baseline", "nosuch")
    assert (none.code, "Host nosuch is not registered" in none.err) == (1, True)


# --- live -------------------------------------------------------------------------------------------------------


def test_live_migration(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    destination = next(host for host in HOSTS if host != source)
    assert ok(cloud.migrator("live-migration", vm, destination, "--poll")).endswith("Finished\n")
    assert cloud.state(vm) == ("ACTIVE", destination)
    move = cells(ok(cloud.migrator("migration-list", "--instance-uuid", cloud.server(vm)["id"])))
    assert (move["Status"], move["Type"], move["Dest Compute"]) == ("completed", "live-migration", destination)
    timeline = ok(cloud.migrator("timeline", move["Id"]))
    assert f"{source} to {destination}" in timeline
    assert "transfer" in timeline
    assert cloud.migrator("timeline", move["UUID"], "--json").json["operation"]["kind"] == "live-migration"


@pytest.mark.parametrize("vm", ["2"], indirect=True)
def test_a_live_migration_is_looked_at_and_aborted(cloud: Cloud, vm: str) -> None:
    before = cloud.state(vm)
    ok(cloud.migrator("live-migration", vm))
    (moving,) = cloud.until("listed", lambda: cloud.migrator("server-migration-list", vm, "--json").json)
    key = str(moving["id"])
    ok(cloud.migrator("live-migration-steer", vm, key, "--hold"))  # or it may arrive before it is aborted
    cloud.until(
        "running", lambda: cloud.migrator("server-migration-show", vm, key, "--json").json["status"] == "running"
    )
    ok(cloud.migrator("live-migration-abort", vm, key))
    cloud.until("cancelled", lambda: cloud.migrator("migration-list", "--json").json[0]["status"] == "cancelled")
    assert cloud.state(vm) == before


@pytest.mark.parametrize("vm", ["2"], indirect=True)
def test_a_live_migration_is_steered_and_forced_to_its_end(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    ok(cloud.migrator("live-migration", vm))
    (moving,) = cloud.until("running", lambda: transfers(cloud, vm))
    key = str(moving["id"])
    ok(cloud.migrator("live-migration-steer", vm, key, "--bandwidth", "5", "--max-downtime", "900"))
    ok(cloud.migrator("live-migration-steer", vm, key, "--hold"))
    nothing = cloud.migrator("live-migration-steer", vm, key)
    assert (nothing.code, "expected one or more of" in nothing.err) == (1, True)
    refused = cloud.migrator("live-migration-steer", vm, key, "--post-copy")
    assert (refused.code, "live_migration_permit_post_copy" in refused.err) == (1, True)
    ok(cloud.migrator("live-migration-force-complete", vm, key))  # while it is held: else it may be over by then
    ok(cloud.migrator("live-migration-steer", vm, key, "--resume", "--bandwidth", "0"))
    cloud.until("completed", lambda: cloud.migrator("migration-list", "--json").json[0]["status"] == "completed")
    status, host = cloud.state(vm)
    assert (status, host != source) == ("ACTIVE", True)
    said = ok(cloud.migrator("timeline", key))
    for words in ("maximum downtime 900 ms", "held: True", "held: False", "completion forced: True"):
        assert words in said


def transfers(cloud: Cloud, vm: str) -> list[dict[str, object]]:
    listed = cloud.migrator("server-migration-list", vm, "--json").json
    return [row for row in listed if row["status"] == "running"]


# --- cold -------------------------------------------------------------------------------------------------------


def percents(text: str, doing: str) -> list[int]:
    return [int(found) for found in re.findall(rf"^Server {doing}\.\.\. (\d+)% complete", text, re.M)]


@pytest.mark.parametrize("vm", ["3"], indirect=True)
def test_migrate_and_confirm(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    moved = ok(cloud.migrator("migrate", vm, "--poll"))
    seen = percents(moved, "migrating")
    assert (seen[0], seen[-1], seen) == (0, 100, sorted(seen))
    assert [percent for percent in seen if 0 < percent < 100], "real percentages"
    assert moved.endswith("Server migrating... 100% complete\nFinished\n")
    status, destination = cloud.state(vm)
    assert status == "VERIFY_RESIZE"
    assert destination != source
    assert ok(cloud.migrator("resize-confirm", vm)) == ""
    cloud.until("ACTIVE", lambda: cloud.state(vm) == ("ACTIVE", destination))
    cloud.until("confirmed", lambda: cloud.migrations(vm)[0]["status"] == "confirmed")
    (move,) = cloud.migrations(vm)
    assert (move["migration_type"], move["source_compute"], move["dest_compute"]) == ("migration", source, destination)
    messages = [event["message"] for event in cloud.migrator("timeline", str(move["id"]), "--json").json["events"]]
    assert "depart" in messages
    assert not [message for message in messages if message.endswith("-")], "each says what is done"


def test_migrate_to_a_host_and_back(cloud: Cloud, vm: str) -> None:
    before = cloud.state(vm)
    destination = next(host for host in HOSTS if host != before[1])
    ok(cloud.migrator("stop", vm, "--poll"))
    assert ok(cloud.migrator("migrate", vm, "--host", destination)) == ""
    cloud.until("VERIFY_RESIZE", lambda: cloud.state(vm) == ("VERIFY_RESIZE", destination))
    assert cloud.server(vm)["OS-EXT-STS:power_state"] == 4, "it was stopped, and is"
    assert ok(cloud.migrator("resize-revert", vm)) == ""
    cloud.until("SHUTOFF", lambda: cloud.state(vm) == ("SHUTOFF", before[1]))
    again = cloud.migrator("resize-revert", vm)
    assert again.code == 1
    assert "Cannot 'revertResize' instance" in again.err


def test_resize_and_revert(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    moved = ok(cloud.migrator("resize", vm, "m1.disk", "--poll"))
    assert percents(moved, "resizing")[-1] == 100
    assert moved.endswith("\nFinished\n")
    assert cloud.server(vm)["flavor"]["original_name"] == "m1.disk"
    ok(cloud.migrator("resize-revert", vm))
    cloud.until("back", lambda: cloud.state(vm) == ("ACTIVE", source))
    assert cloud.server(vm)["flavor"]["original_name"] == "m1.nano"


def test_a_migration_that_fails_says_so(cloud: Cloud, vm: str) -> None:
    before = cloud.state(vm)
    with cloud.disabled(*(host for host in HOSTS if host != before[1])):
        failed = cloud.migrator("migrate", vm, "--poll")
    assert failed.code == 1
    assert failed.out.endswith("\nError migrating server\n")
    reason = failed.err.removeprefix("Failed: ").strip()
    assert re.search(r"n\d", reason), "the reason names the hosts"
    told = ok(cloud.migrator("timeline", str(cloud.migrations(vm)[0]["id"])))
    assert f"\nerror: {reason}\n" in told, "in words"
    assert cloud.state(vm) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("migrate", "{vm}", "--host", "nosuch"), "Compute host nosuch could not be found."),
        (("migrate", "{vm}", "--host", "{host}"), "Cannot migrate to the host where the server exists."),
        (("resize", "{vm}", "m1.nano"), "When resizing, instances must change flavor!"),
        (("resize", "{vm}", "nosuch"), "no flavor has the name or id nosuch"),
        (("resize-confirm", "{vm}"), "Cannot 'confirmResize' instance"),
        (("evacuate", "{vm}", "--discard-local-disks"), "Compute service of {host} is still in use."),
    ],
)
def test_refusals(cloud: Cloud, standing: tuple[str, str], line: tuple[str, ...], words: str) -> None:
    vm, host = standing
    refused = cloud.migrator(*(word.format(vm=vm, host=host) for word in line))
    assert (refused.code, refused.out) == (1, "")
    assert words.format(host=host) in refused.err
    assert len(refused.err.splitlines()) == 1
    assert cloud.state(vm) == ("ACTIVE", host)


@pytest.fixture(scope="module")
def standing(cloud: Cloud) -> tuple[str, str]:
    """(name, host) of a server that nothing here changes."""
    return "standing", cloud.boot("standing")


# --- evacuation -------------------------------------------------------------------------------------------------


def once_silent(cloud: Cloud, *arguments: str) -> str:
    """What `evacuate` prints once it is taken: a host that spoke a moment ago is not lost yet."""

    def taken() -> Ran | None:
        ran = cloud.migrator("evacuate", *arguments)
        assert ran.code == 0 or "is still in use" in ran.err, ran.out + ran.err
        return ran if ran.code == 0 else None

    return str(cloud.until("the lost host to be silent", taken, 60).out)


def test_evacuate(cloud: Cloud) -> None:
    for name in ("ran", "stood", "given"):
        cloud.boot(name, host="n1", config_drive=True)
    ok(cloud.migrator("stop", "stood", "--poll"))
    cloud.hosts.power_off("n1")
    try:
        local = "--discard-local-disks"
        refused = cloud.migrator("evacuate", "ran")
        assert refused.code == 1
        assert "vda: LOST with pool local of the host, made anew from image" in refused.err
        assert local in refused.err
        assert cloud.migrator("evacuate", "ran", local).code == 1
        ok(cloud.migrator("service-force-down", "n1"))
        made = properties(once_silent(cloud, "ran", local, "--poll"))
        assert re.fullmatch("[A-Za-z0-9]{12}", made["adminPass"])
        assert (
            properties(ok(cloud.migrator("evacuate", "given", "n2", local, "--password", "s3cret")))["adminPass"]
            == "s3cret"
        )
        shared = cloud.migrator("evacuate", "stood", local, "--on-shared-storage")
        assert shared.code == 1
        assert "no other host shares local" in shared.err
        assert list(properties(ok(cloud.migrator("evacuate", "stood", local)))) == ["adminPass"]
        cloud.until("ran runs", lambda: cloud.state("ran")[0] == "ACTIVE" and cloud.state("ran")[1] != "n1")
        cloud.until("given runs on n2", lambda: cloud.state("given") == ("ACTIVE", "n2"))
        cloud.until("stood stands", lambda: cloud.state("stood")[0] == "SHUTOFF" and cloud.state("stood")[1] != "n1")
        moves = cloud.migrator("migration-list", "--migration-type", "evacuation", "--json").json
        assert {move["status"] for move in moves} == {"done"}
        told = ok(cloud.migrator("timeline", str(moves[0]["id"])))
        assert "evidence: " in told
        assert "owed: cleanup on n1" in told
        assert "on None" not in told, "the scheduler's share is nobody's host"
        early = cloud.migrator("service-force-down", "n1", "--unset")
        assert early.code == 1
        assert "Unable to force up host n1 as `done` evacuation migration records remain" in early.err
    finally:
        cloud.hosts.power_on("n1")
    completed = "/os-migrations?migration_type=evacuation&status=completed&source_compute=n1"
    cloud.until("n1 has cleaned up", lambda: len(cloud.get(completed)["migrations"]) == 3)
    assert json.loads(ok(cloud.migrator("service-force-down", "n1", "--unset", "--json")))[0]["forced_down"] is False
    cloud.delete("ran", "stood", "given")
