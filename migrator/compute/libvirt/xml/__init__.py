"""libvirt's XML: written, read and rewritten. Pure."""
