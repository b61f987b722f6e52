"""A domain written by hand and moved by ``virsh``: what the lab must carry before migrator is asked to."""

from pathlib import Path

from migrator.lab import LabHost
from migrator.lab.image import KERNEL_ARGS, GuestImages
from migrator.lab.layout import AGENT

_XML = """<domain type="qemu"><name>{uuid}</name><uuid>{uuid}</uuid><memory unit="MiB">128</memory><vcpu>1</vcpu>
<os><type arch="x86_64" machine="pc">hvm</type><kernel>{place}/vmlinuz</kernel><initrd>{place}/initrd.gz</initrd>
<cmdline>{args}</cmdline></os><features><acpi/><apic/></features>
<devices><disk type="file" device="disk"><driver name="qemu" type="qcow2" cache="none"/>
<source file="{place}/disk.qcow2"/><target dev="vda" bus="virtio"/></disk>
<interface type="bridge"><source bridge="br0"/><model type="virtio"/></interface>
<serial type="file"><source path="{console}" append="on"/></serial></devices></domain>"""


def place_files(host: LabHost, place: Path, guest: GuestImages) -> None:
    """Kernel, ramdisk and a disk of its own in ``place`` on the host."""
    host.run(["mkdir", "-p", str(place)])
    for file in (guest.kernel, guest.ramdisk, guest.disk):
        host.run(["cp", str(file), f"{place}/{file.name}"])


def make_console(host: LabHost, uuid: str) -> None:
    host.console_log(uuid).parent.mkdir(parents=True, exist_ok=True)


def start(host: LabHost, uuid: str, place: Path, arguments: str = "") -> None:
    make_console(host, uuid)
    console = AGENT / "consoles" / f"{uuid}.log"
    args = f"{KERNEL_ARGS} {arguments}"
    xml = host.directory / f"{uuid}.xml"
    xml.write_text(_XML.format(uuid=uuid, place=place, console=console, args=args))
    host.run(["virsh", "create", str(xml)])


def move(source: LabHost, destination: LabHost, uuid: str, *flags: str) -> None:
    make_console(destination, uuid)
    source.run(["virsh", "migrate", "--live", "--p2p", *flags, uuid, destination.uri])


def running(host: LabHost) -> list[str]:
    return host.run(["virsh", "list", "--uuid", "--state-running"]).split()
