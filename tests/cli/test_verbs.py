"""Every verb of the command line as a process, against a running server with simulated hosts. Those that move servers
have files of their own beside this one."""

import json
import re
from pathlib import Path

import pytest

from migrator.cli.main import parser
from tests.cli.verbs import cells, ok, properties
from tests.clients.conftest import HOSTS, Cloud

pytestmark = pytest.mark.clients


def test_every_verb_is_driven() -> None:
    """A verb that no test drives is not tested: each name on the command line is used here, or beside."""
    actions = next(action for action in parser()._actions if action.dest == "command")
    assert isinstance(actions.choices, dict)
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_verbs*.py"))
    elsewhere = {"lab", "server", "agent"}  # tests/lab; the fixtures of every suite
    assert not [verb for verb in actions.choices if verb not in elsewhere and f'"{verb}"' not in text]


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


def test_networks_and_servers_that_are_in_them(cloud: Cloud) -> None:
    about = ("--bridge", "br0", "--cidr", "10.9.0.0/24", "--range", "10.9.0.100-10.9.0.199", "--dns", "10.9.0.53")
    made = cells(ok(cloud.migrator("network-create", "lab", *about)))
    assert [made[name] for name in ("Kind", "CIDR", "Ranges")] == ["bridge", "10.9.0.0/24", "10.9.0.100-10.9.0.199"]
    overlapping = cloud.migrator("network-create", "other", *about)
    assert (overlapping.code, "overlaps 10.9.0.100-10.9.0.199 of network lab" in overlapping.err) == (1, True)
    tagged = cells(ok(cloud.migrator("network-create", "tagged", "--bridge", "br0", "--vlan", "7")))
    assert (tagged["Kind"], tagged["VLAN"]) == ("vlan", "7")
    assert (
        cells(ok(cloud.migrator("network-create", "ovs", "--bridge", "br0", "--openvswitch")))["Kind"] == "openvswitch"
    )
    boot = ("boot", "in-lab", "--flavor", "m1.nano", "--image", "tiny", "--poll")
    misread = cloud.migrator(*boot, "--nic", "port-id=x")
    assert (misread.code, "net-id=ID" in misread.err) == (1, True)
    ok(cloud.migrator(*boot, "--nic", "net-id=lab,fixed-ip=10.9.0.7", "--nic", "net-id=lab"))
    found = [one["addr"] for one in cloud.server("in-lab")["addresses"]["lab"]]
    assert found == ["10.9.0.7", "10.9.0.100"]
    ok(cloud.migrator("live-migration", "in-lab", "--poll"))
    assert [one["addr"] for one in cloud.server("in-lab")["addresses"]["lab"]] == found
    refused = cloud.migrator("network-delete", "lab")
    assert (refused.code, "in use" in refused.err) == (1, True)
    ok(cloud.migrator("delete", "in-lab", "--poll"))
    ok(cloud.migrator("network-delete", "lab", "tagged", "ovs"))
    assert json.loads(ok(cloud.migrator("network-list", "--json"))) == []


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


def test_a_state_is_reset(cloud: Cloud, vm: str) -> None:
    assert "new state is error" in ok(cloud.migrator("reset-state", vm))
    assert json.loads(ok(cloud.migrator("show", vm, "--json")))["status"] == "ERROR"
    both = cloud.migrator("reset-state", "--active", "nosuch", vm)  # its host may not have listed it since its build
    assert both.code == 1
    assert "new state is active" in both.out or "Cannot 'os-resetState'" in both.err


def test_a_console_is_read(cloud: Cloud, vm: str) -> None:
    """What it shows, tests/clients/test_console_log.py says."""
    ok(cloud.migrator("console-log", vm, "--length", "1"))
    assert "length" in cloud.migrator("console-log", vm, "--length", "-7").err


def test_help(cloud: Cloud) -> None:
    assert "usage: migrator evacuate" in ok(cloud.migrator("help", "evacuate"))


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


def test_where_a_server_is(cloud: Cloud, vm: str) -> None:
    lines = ok(cloud.migrator("where", vm)).splitlines()
    assert re.match(r"Where     It (runs on n\d, which said so|is active on n\d by its record of) \d+ s ago", lines[1])
    assert lines[2].startswith("If its host is lost: ")
    assert lines[-1] == "Do        Nothing."
    assert cloud.migrator("where", vm, "--json").json["standing"] == "certain"
    for address in ("203.0.113.9", "fa:16:3e:00:00:01"):
        unknown = cloud.migrator("where", address)
        assert (unknown.code, unknown.err) == (1, f"migrator: no server has the name or id {address}\n")


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
