"""Real hosts on one machine: network namespaces, a libvirtd each, GlusterFS, and a tiny guest that counts."""

from migrator.lab.host import LabHost
from migrator.lab.lab import Lab

__all__ = ["Lab", "LabHost"]
