"""What a user may read of a hypervisor's error: what went wrong, and neither a host's files nor a domain's XML."""

import pytest

from migrator.api.faults import UnsupportedMediaType, body_for, fault
from migrator.api.public_messages import public
from migrator.api.surface import Surface
from migrator.errors import (
    ActionNotImplemented,
    BadRequest,
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    MigratorError,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)

XML = "<domain type='kvm'>\n  <name>secret</name>\n  <source file='/srv/secret.qcow2'/>\n</domain>"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (
            "Cannot access storage file '/var/lib/migrator/i/vda.qcow2' (as uid:64055): Permission denied",
            "Cannot access storage file '(path)' (as uid:64055): Permission denied",
        ),
        ("unable to open /dev/kvm: No such file", "unable to open (path): No such file"),
        ("no '/dev/vdb/x', '/dev/vdb.secret', /dev/sdabc-1", "no '(path)', '(path)', (path)"),
        ("open failed:/var/lib/x.qcow2,format=raw", "open failed:(path),format=raw"),
        ('{"driver":"file","filename":"/var/lib/my disks/x"}', '{"driver":"file","filename":"(path)"}'),
        ("-drive file=/var/lib/x.qcow2", "-drive file=(path)"),
        ("backing file://localhost/var/lib/x is gone", "backing (path) is gone"),
        ("mount of 10.0.0.1:/export/a failed", "mount of 10.0.0.1:(path) failed"),
        (f"XML error: unexpected element in {XML} at line 4", "XML error: unexpected element in (XML) at line 4"),
        ("(domain_definition):1: mismatch\n<domain><name>secret", "(domain_definition):1: mismatch\n(XML)"),
        ("<?xml version='1.0'?><a>secret</a><b>secret", "(XML)"),
    ],
)
def test_paths_and_xml_are_left_out(said: str, read: str) -> None:
    assert public(said) == read
    assert "secret" not in public(said)


@pytest.mark.parametrize(
    "said",
    [
        "No valid host was found.",
        "cannot connect to qemu+tcp://10.0.0.2/system: Connection refused",
        "nbd://h:10809/export is out of reach",
        "16 GiB needed, 3 GiB free (I/O at 5 MiB/s, 3 < 5, and/or 1/2)",
        "waiting for host n2, silent for 40 s",
        "device_name '/dev/vdc'; supported: /dev/vdb.",
    ],
)
def test_what_is_neither_stays(said: str) -> None:
    assert public(said) == said


@pytest.mark.parametrize("surface", [Surface.COMPUTE, Surface.IMAGES, Surface.DISCOVERY])
@pytest.mark.parametrize(
    "kind",
    [
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
        UnsupportedMediaType,
        TooManyRequests,
        ActionNotImplemented,
        Unavailable,
        MigratorError,
    ],
)
def test_no_status_of_a_clients_surface_tells_of_a_path(surface: Surface, kind: type[MigratorError]) -> None:
    status, body = body_for(surface, kind(f"cannot read /srv/secret.qcow2 {XML}"))
    assert "secret" not in str(body)
    assert status == 500 or "cannot read (path) (XML)" in str(body)
    assert "secret" not in str(fault(status, "/srv/secret"))


def test_an_operator_reads_paths_in_the_native_api_and_an_agent_in_its_own() -> None:
    for surface in (Surface.NATIVE, Surface.AGENT):
        assert "/srv/x.qcow2" in str(body_for(surface, Conflict("cannot read /srv/x.qcow2")))


@pytest.mark.parametrize("surface", list(Surface))
def test_which_database_is_away_is_for_the_log_alone(surface: Surface) -> None:
    error = DatabaseUnavailable("the database cannot be used now", cause="postgresql://m@db/m: refused")
    assert "postgresql" not in str(body_for(surface, error))
    assert "refused" in str(error)
    assert "refused" in error.sentence


def test_a_long_run_of_slashes_is_read_in_no_time() -> None:
    """As a client may send it in a name: the time grows with its length, not with the square of that."""
    for said in ("'file:" + "/" * 1_000_000, "'/" * 500_000, "</" * 500_000, "file:/" * 200_000):
        public(said)
