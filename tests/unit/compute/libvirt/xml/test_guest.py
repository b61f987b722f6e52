"""What a domain's XML tells about its guest, and about the host's CPU where the guest sees that."""

import pytest

from migrator.compute.libvirt.xml.guest import read_guest, read_listens

HOST = "<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model></cpu></host></capabilities>"

CONSOLES = """<domain><devices>
  <graphics type='vnc' listen='10.0.0.1'><listen type='address' address='10.0.0.1'/></graphics>
  <graphics type='spice'><listen type='address' address='0.0.0.0'/><listen type='network' network='n'/></graphics>
  <serial type='tcp'><source mode='bind' host='10.0.0.2' service='4555'/></serial>
  <serial type='tcp'><source mode='connect' host='10.0.0.3' service='4555'/></serial>
  <console type='tcp'><source mode='bind' host='localhost' service='1'/></console>
  <graphics type='vnc' listen='::1'/><graphics type='vnc' listen='FD00:0::1'/>
</devices></domain>"""


def test_a_guest_is_read() -> None:
    facts = read_guest(
        "<domain><memory unit='KiB'>262144</memory><vcpu>3</vcpu>"
        "<os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os><cpu mode='custom'><model>qemu64</model></cpu>"
        "<devices><hostdev type='pci'/><interface type='hostdev'/>"
        "</devices></domain>"
    )
    assert (facts.machine, facts.arch, facts.memory_mb, facts.vcpus) == ("pc-i440fx-7.2", "x86_64", 256, 3)
    assert facts.cpu_xml == '<cpu mode="custom"><model>qemu64</model></cpu>'
    assert facts.passed_through == ("hostdev (pci)", "interface (hostdev)")


def test_a_passed_through_cpu_is_the_hosts() -> None:
    facts = read_guest("<domain><cpu mode='host-passthrough'/></domain>", HOST)
    assert facts.cpu_xml is not None
    assert "<model>EPYC</model>" in facts.cpu_xml


@pytest.mark.parametrize(
    ("cpu", "named"),
    [("mode='host-model'", False), ("mode='host-passthrough'", False), ("mode='custom'", True)],
)
def test_a_guest_that_is_off_names_no_cpu_but_a_chosen_one(cpu: str, named: bool) -> None:
    text = f"<domain><cpu {cpu}><model>Westmere</model></cpu></domain>"
    assert (read_guest(text, HOST, off=True).cpu_xml is not None) is named


def test_consoles_that_listen_on_an_address_of_one_host() -> None:
    assert read_listens(CONSOLES) == ("10.0.0.1", "fd00::1", "10.0.0.2")
    assert read_listens("<domain/>") == ()
