"""A table fits the terminal that it is printed on, and is whole where it is read by a program."""

import os
import pty
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest
from rich.cells import cell_len

from migrator.cli.folding import fitted, folded

UUID = "0b6a4c1e-35d7-4f4b-9d0f-8d0b9b9b6f10"
PRINTED = f"""
from migrator.cli.tables import Column, table
why = "n2 has no room for its memory and disks: choose another host"
rows = [{{"id": "{UUID}", "name": "東京の仮想計算機", "why": why}}]
print(table([Column("ID", "id"), Column("Name", "name"), Column("Why", "why")], rows))
"""


@pytest.mark.parametrize(
    ("columns", "room", "widths"),
    [
        ([["a", "bb"], ["ccc"]], 80, [2, 3]),
        ([[UUID], ["one two three four five six"]], 50, [36, 14]),
        ([[UUID], ["one two three four five six"]], 30, [15, 15]),
        ([["短い", "とても長い名前です"], ["x" * 30]], 40, [18, 22]),
        ([[UUID], [UUID]], 8, [36, 36]),
    ],
)
def test_the_widest_columns_give_way(columns: list[list[str]], room: int, widths: list[int]) -> None:
    assert fitted(columns, room) == widths


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("short", 10, ["short"]),
        ("one two three", 8, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("東京の仮想計算機", 6, ["東京の", "仮想計", "算機"]),
    ],
)
def test_a_cell_s_text_goes_on_in_the_next_line(text: str, width: int, lines: list[str]) -> None:
    assert folded(text, width) == lines


def test_a_table_fits_a_terminal_and_wide_characters_align() -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    printing = subprocess.Popen([sys.executable, "-c", PRINTED], stdout=theirs, env=environment)
    os.close(theirs)
    said = b""
    try:
        while read := os.read(ours, 65536):
            said += read
    except OSError:  # its end has closed the terminal
        pass
    finally:
        os.close(ours)
    assert printing.wait(20) == 0
    lines = said.decode().splitlines()
    assert {cell_len(line) for line in lines} == {80}
    assert len(lines) > 5
    assert UUID in lines[3]


def test_a_program_reads_one_line_for_each_row() -> None:
    done = subprocess.run([sys.executable, "-c", PRINTED], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 5
