"""The console's log follows a server through its moves, as nova, openstack and migrator show it."""

import pytest

from tests.clients.conftest import HOSTS, Cloud, Ran

pytestmark = pytest.mark.clients

BOOT = "a simulated guest boots"


def shown(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.out + ran.err
    return ran.out.split()


def until_written(cloud: Cloud, name: str, *lines: str) -> None:
    """The guest's log has these lines after the first, and no other."""

    def log() -> list[str]:
        ident = cloud.server(name)["id"]
        found = cloud.post(f"/servers/{ident}/action", {"os-getConsoleOutput": {}}).json()["output"]
        return [line for line in found.splitlines() if line != BOOT]

    cloud.until("the log to be told", lambda: log() == list(lines))


def test_the_log_follows_the_server_live_and_cold(cloud: Cloud) -> None:
    source = cloud.boot("talks")
    target = next(host for host in HOSTS if host != source)
    ident = cloud.server("talks")["id"]
    cloud.hosts.write_console(ident, "before")
    until_written(cloud, "talks", "before")
    assert cloud.nova("live-migration", "talks", target).code == 0
    cloud.until("there", lambda: cloud.state("talks") == ("ACTIVE", target))
    cloud.hosts.write_console(ident, "between")
    until_written(cloud, "talks", "before", "between")
    assert cloud.nova("migrate", "--host", source, "--poll", "talks").code == 0
    cloud.until("to be confirmed", lambda: cloud.state("talks")[0] == "VERIFY_RESIZE")
    assert cloud.nova("resize-confirm", "talks").code == 0
    cloud.until("back", lambda: cloud.state("talks") == ("ACTIVE", source))
    cloud.hosts.write_console(ident, "after")
    until_written(cloud, "talks", "before", "between", "after")
    expected = [*BOOT.split(), "before", "between", *BOOT.split(), "after"]
    assert shown(cloud.nova("console-log", "talks")) == expected
    assert shown(cloud.openstack("console", "log", "show", "talks")) == expected
    assert shown(cloud.migrator("console-log", "talks")) == expected
    assert shown(cloud.nova("console-log", "--length", "2", "talks")) == ["after"]
    assert shown(cloud.openstack("console", "log", "show", "--lines", "2", "talks")) == ["after"]
    assert shown(cloud.migrator("console-log", "talks", "--length", "2")) == ["after"]
    cloud.delete("talks")
