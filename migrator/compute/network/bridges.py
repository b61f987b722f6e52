"""The bridges of this host (of its network namespace), as the kernel's drivers call themselves. Nothing is changed."""

import array
import fcntl
import socket
import struct
from collections.abc import Mapping

from migrator.protocol import NetworkKind

_SIOCETHTOOL, _GET_DRIVER = 0x8946, 3
_REQUEST = struct.Struct("16sP16x")  # struct ifreq: the interface's name, and where the answer is wanted
_ANSWER = 196  # bytes of struct ethtool_drvinfo: a command, and then 32 bytes of the driver's name
_DRIVERS: Mapping[str, NetworkKind] = {"bridge": NetworkKind.BRIDGE, "openvswitch": NetworkKind.OPENVSWITCH}
_TAGS_SINCE = 11_000_000  # libvirt's version: from then on it tags a guest's frames on a bridge of the kernel


def host_bridges(libvirt_version: int) -> dict[str, str]:
    """Name -> what networks of the operator's it can be the bridge of."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            kind = _DRIVERS.get(_driver(asked, name))
            if kind is not None:
                tags = kind is NetworkKind.BRIDGE and libvirt_version >= _TAGS_SINCE
                found[name] = str(NetworkKind.VLAN if tags else kind)
    return found


def _driver(asked: socket.socket, name: str) -> str:
    """ "": there is none, or the interface is gone."""
    answer = array.array("B", struct.pack("I", _GET_DRIVER).ljust(_ANSWER, b"\0"))
    try:
        fcntl.ioctl(asked, _SIOCETHTOOL, _REQUEST.pack(name.encode(), answer.buffer_info()[0]))
    except OSError:
        return ""
    return bytes(answer[4:36]).split(b"\0")[0].decode(errors="replace")
