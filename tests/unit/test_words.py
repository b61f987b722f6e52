"""Prose speaks plain English: a list of words that no longer stand in it, each with the word to use.

Owns the list, and the table of the files that still hold some of these words. The table only shrinks. The test reads
comments, docstrings, the command line's help and the documents. It reads neither code nor quotations; the changelog is
read beside the names of the code (``test_old_names``).
"""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("migrator", "tests", "alembic")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "tests/**/*.md")

WORDS: Mapping[str, str] = {
    "whoever": "the role: an operator, a client, an agent, a process",
    "somebody": "the role: an operator, a client, an agent, a process",
    "anybody": "the role: an operator, a client, an agent, a process",
    "everybody": "the role: every operator, client, agent, process",
    "nobody": "the role: no operator, client, agent, process",
    "whatever it is": "the noun",
    "of those": "the noun: of these hosts",
    "meanwhile": "while ..., until then, in that time",
    "told again": "repeated",
    "by itself": "automatically, alone, on its own",
    "by themselves": "automatically, alone, on their own",
    "wish": "request, action, parameter",
    "wishes": "requests, actions, parameters",
    "wheel": "steering; the package that pip installs",
    "knock": "probe",
    "knocks": "probes",
    "torn": "lost (a post-copy), partial (a line), corrupt (a disk)",
    "pledge": "promise",
    "glance": "read, list (the image service has a capital letter)",
    "glances": "reads, lists",
    "fabric": "cluster",
    "StaleRow": "ConcurrentUpdate",
}
NAMES = frozenset({"Glance", "TORN"})  # of another project, and of an alarm
HELD: Mapping[str, int] = {}

SPELT = {word.lower(): word for word in WORDS}
LISTED = re.compile(r"\b(" + "|".join(word.replace(" ", r"\s+") for word in WORDS) + r")\b", re.I)
FENCED = re.compile(r"^ *(```|~~~).*?^ *\1", re.M | re.S)
QUOTED = re.compile(r"(`+)[^`]+\1|\"[^\"\n]*\"|“[^”]*”")
HELP = frozenset({"help", "description", "epilog"})
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Offender(NamedTuple):
    file: str
    line: int
    word: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.word!r}: write {WORDS[self.word]}"


def test_no_prose_has_a_word_of_the_list() -> None:
    assert beyond(offenders(ROOT), HELD) == []


def test_the_table_of_what_is_held_only_shrinks() -> None:
    assert unneeded(offenders(ROOT), HELD) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1  # whoever asks\n", [(1, "whoever")]),
        ("# Of\n# those\nx = 1\n", [(1, "of those")]),
        ('"""A thing.\n\nIt stops by\nitself.\n"""\n', [(3, "by itself")]),
        ('def f():\n    """Nobody asks."""\n', [(2, "nobody")]),
        ('class A:\n    """Torn, or torn."""\n', [(2, "torn"), (2, "torn")]),
        ('verb("x", help="what somebody wants")\n', [(1, "somebody")]),
        ("wheel = 1\n", []),
        ('wish = "nobody"  # the request\n', []),
        ('"""The column ``torn``."""\n', []),
        ('# It says "nobody has the image".\n', []),
    ],
    ids=["comment", "two comments", "module", "function", "class", "help", "code", "text", "code span", "quotation"],
)
def test_a_word_in_python_is_found_in_prose_alone(tmp_path: Path, text: str, found: list[tuple[int, str]]) -> None:
    (tmp_path / "migrator").mkdir()
    (tmp_path / "migrator" / "a.py").write_text(text)
    assert offenders(tmp_path) == [Offender("migrator/a.py", line, word) for line, word in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A list.\nMeanwhile, a host\nwaits.\n", [(2, "meanwhile")]),
        ("Images are Glance's.\n", []),
        ("A short glance.\n", [(1, "glance")]),
        ("```\nnobody\n```\nsomebody\n", [(4, "somebody")]),
        ('The alarm `TORN`, a "wheel".\n', []),
        ("| wish | of\nthose |\n", [(1, "wish"), (1, "of those")]),
    ],
    ids=["document", "service", "verb", "fence", "quotation", "table"],
)
def test_a_word_in_a_document_is_found_in_prose_alone(tmp_path: Path, text: str, found: list[tuple[int, str]]) -> None:
    (tmp_path / "docs" / "adr").mkdir(parents=True)
    (tmp_path / "docs" / "adr" / "a.md").write_text(text)
    (tmp_path / "CHANGELOG.md").write_text("Nobody.\n")
    assert offenders(tmp_path) == [Offender("docs/adr/a.md", line, word) for line, word in found]


@pytest.mark.parametrize(
    ("held", "named", "done"),
    [
        ({}, ["a.md:1: 'torn'", "a.md:2: 'wish'"], []),
        ({"a.md": 1}, ["a.md:1: 'torn'", "a.md:2: 'wish'"], []),
        ({"a.md": 2}, [], []),
        ({"a.md": 3}, [], ["a.md: 2 of 3"]),
        ({"a.md": 2, "b.md": 1}, [], ["b.md: 0 of 1"]),
    ],
    ids=["no entry", "grown", "as many as its entry", "shrunk", "gone"],
)
def test_an_entry_holds_a_count_and_shrinks_with_it(held: Mapping[str, int], named: list[str], done: list[str]) -> None:
    found = [Offender("a.md", 1, "torn"), Offender("a.md", 2, "wish")]
    assert [text.split(": write")[0] for text in beyond(found, held)] == named
    assert unneeded(found, held) == done


def beyond(found: list[Offender], held: Mapping[str, int]) -> list[str]:
    """The offenders of each file that has more of them than its entry holds."""
    counts = Counter(offender.file for offender in found)
    return [str(offender) for offender in found if counts[offender.file] > held.get(offender.file, 0)]


def unneeded(found: list[Offender], held: Mapping[str, int]) -> list[str]:
    """Entries that hold more than their file has."""
    counts = Counter(offender.file for offender in found)
    return [f"{file}: {counts[file]} of {held[file]}" for file in sorted(held) if counts[file] < held[file]]


@cache
def offenders(root: Path) -> list[Offender]:
    """Every word of the list in the prose below the root, by file and line."""
    return [
        Offender(file, text.count("\n", 0, match.start()) + 1, SPELT[" ".join(match[0].lower().split())])
        for file, text in _prose(root)
        for match in LISTED.finditer(text)
        if match[0] not in NAMES
    ]


def _prose(root: Path) -> Iterator[tuple[str, str]]:
    """The path and the prose of each file; all else of it is blank, so that lines keep their numbers."""
    for path in sorted(path for folder in CODE for path in (root / folder).rglob("*.py")):
        if LISTED.search(text := path.read_text()) or ("#" in text and LISTED.search(text.replace("#", " "))):
            yield str(path.relative_to(root)), QUOTED.sub(_blank, _of_python(text))
    for path in sorted(path for pattern in DOCUMENTS for path in root.glob(pattern)):
        yield str(path.relative_to(root)), QUOTED.sub(_blank, FENCED.sub(_blank, path.read_text()))


def _of_python(source: str) -> str:
    lines = [""] * (source.count("\n") + 1)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] += token.string.lstrip("#")
    for node in ast.walk(ast.parse(source)):
        for text in _texts(node):
            for number, line in enumerate(str(text.value).split("\n"), text.lineno):
                lines[min(number, text.end_lineno or number) - 1] += f" {line}"
    return "\n".join(lines)


def _texts(node: ast.AST) -> Iterator[ast.Constant]:
    """The docstring of what has one, or the parts of a help text."""
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            yield first.value
    if isinstance(node, ast.keyword) and node.arg in HELP:
        yield from (part for part in ast.walk(node.value) if isinstance(part, ast.Constant) and part.value is not None)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])
