"""The stamp in a domain's metadata, alone: written, read back, damaged."""

from dataclasses import replace

import pytest

from migrator.compute.libvirt.xml.stamp import Stamp, read_stamp, stamp_xml
from migrator.errors import DriverError

STAMP = Stamp("web", "0b0e", 7)


def test_the_stamp_alone_is_bare_and_reads_back() -> None:
    text = stamp_xml(Stamp("a <b>", "op", 2))
    assert "xmlns" not in text
    assert read_stamp(text) == Stamp("a <b>", "op", 2)


def test_a_stamp_that_somebody_wrote_over_is_not_sound() -> None:
    assert STAMP.sound
    for changed in ({"operation_id": "o" * 37}, {"epoch": -1}, {"epoch": 2**63}, {"seal": "s" * 401}):
        assert not replace(STAMP, **changed).sound


@pytest.mark.parametrize("text", ["<instance/>", "<instance><name/><operation uuid='a' epoch='x'/></instance>"])
def test_a_damaged_stamp_is_an_error_and_not_a_guess(text: str) -> None:
    with pytest.raises(DriverError, match="metadata"):
        read_stamp(text)
