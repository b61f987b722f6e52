"""The driver for libvirt and QEMU. Only ``bindings`` imports libvirt's library."""
