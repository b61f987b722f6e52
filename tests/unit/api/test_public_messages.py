"""What a user may read of a hypervisor's error: what went wrong, and neither a host's files nor a domain's XML."""

import pytest

from migrator.api.public_messages import public

XML = "<domain type='kvm'>\n  <name>secret</name>\n  <source file='/srv/secret.qcow2'/>\n</domain>"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (
            "Cannot access storage file '/var/lib/migrator/i/vda.qcow2' (as uid:64055): Permission denied",
            "Cannot access storage file '(path)' (as uid:64055): Permission denied",
        ),
        ("unable to open /dev/kvm: No such file", "unable to open (path): No such file"),
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
    ],
)
def test_what_is_neither_stays(said: str) -> None:
    assert public(said) == said
