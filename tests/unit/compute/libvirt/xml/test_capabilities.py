"""What libvirt's XML tells about a host and the CPUs it can give a guest."""

from migrator.compute.libvirt.xml.capabilities import read_host_cpu, read_machines, read_offered_cpus
from migrator.protocol import HostCpu

CAPABILITIES = (
    "<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor>"
    "<topology sockets='1' cores='4' threads='2'/><feature name='avx'/></cpu></host>"
    "<guest><arch name='x86_64'><machine>pc-2</machine><machine>pc</machine>"
    "<domain type='kvm'><machine>pc-2</machine><machine>pc-1</machine></domain></arch></guest>"
    "<guest><arch name='s390x'><machine>ccw</machine></arch></guest></capabilities>"
)


def test_capabilities_are_read() -> None:
    assert read_host_cpu(CAPABILITIES) == (
        "EPYC",
        "AMD",
        ("avx",),
        {"sockets": 1, "cores": 4, "threads": 2},
    )
    assert read_machines(CAPABILITIES, "x86_64") == ("pc-2", "pc", "pc-1")


DOMAIN_CAPABILITIES = """<domainCapabilities><arch>x86_64</arch><cpu>
  <mode name='host-passthrough' supported='no'/>
  <mode name='host-model' supported='yes'>
    <model fallback='forbid'>EPYC</model><vendor>AMD</vendor><feature policy='require' name='x2apic'/>
  </mode>
  <mode name='custom' supported='yes'>
    <model usable='yes'>qemu64</model><model usable='no'>Skylake-Server</model><model usable='yes'>Westmere</model>
  </mode>
</cpu></domainCapabilities>"""


def test_the_cpu_that_a_host_can_give_a_guest() -> None:
    found = read_offered_cpus(DOMAIN_CAPABILITIES, "qemu")
    assert (found.models, found.arch, found.virt_type) == (("qemu64", "Westmere"), "x86_64", "qemu")
    assert found.xml.startswith("<cpu>")
    assert found.xml.count("<model") == 1
    assert read_offered_cpus("<domainCapabilities><arch>s390x</arch></domainCapabilities>", "kvm") == HostCpu(
        arch="s390x"
    )
