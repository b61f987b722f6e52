"""A storage pool in libvirt's XML."""

import xml.etree.ElementTree as ET
from pathlib import Path

from migrator.compute.libvirt.xml import pool as pool_xml


def test_a_pool_names_its_directory() -> None:
    pool = ET.fromstring(pool_xml.pool("a&b", Path("/x")))
    assert (pool.get("type"), pool.findtext("name"), pool.findtext("target/path")) == ("dir", "a&b", "/x")
