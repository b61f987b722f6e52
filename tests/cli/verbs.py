"""What the command line printed, taken apart: tables by column, properties by name."""

from tests.clients.conftest import Ran


def ok(ran: Ran) -> str:
    assert ran.code == 0, ran.out + ran.err
    return ran.out


def cells(text: str, row: int = 0) -> dict[str, str]:
    """A row of a printed table, by column."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    titles, found = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], lines[row + 1]))
    return dict(zip(titles, found, strict=True))


def properties(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    pairs = [[cell.strip() for cell in line.strip("|").split("|", 1)] for line in lines]
    assert pairs[0] == ["Property", "Value"]
    return {pair[0]: pair[1] for pair in pairs[1:]}
