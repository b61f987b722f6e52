"""migrator moves virtual machines between libvirt/KVM hosts, and never loses one or runs one twice."""

__version__ = "0.1.0"
