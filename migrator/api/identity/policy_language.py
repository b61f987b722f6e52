"""The language of oslo.policy's rules, such as ``role:member and project_id:%(project_id)s``: text to expression.

Pure. Owns the grammar and what a check means. Never knows which rules there are, and never lets pass what it cannot
read: what oslo.policy would log and take for "nobody" is an error here (docs/adr/0030-policy.md).
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ATTRIBUTES = frozenset({"user_id", "project_id", "domain_id", "system_scope", "is_admin"})  # of a caller
TARGETS = frozenset({"user_id", "project_id"})  # of what is asked for
_PLACEHOLDER = re.compile(r"%\(([^)]*)\)s")
_DEEPEST = 100  # brackets in brackets


@dataclass(frozen=True, slots=True)
class Situation:
    """One decision: whose ``roles`` and ``attributes`` ask for what of ``target``, under which ``rules``."""

    roles: frozenset[str]
    attributes: Mapping[str, Any]
    target: Mapping[str, Any]
    rules: Mapping[str, "Expression"]


Test = Callable[[Situation], bool]


@dataclass(frozen=True, slots=True)
class Expression:
    """``references``: the rules that it names."""

    passes: Test
    references: frozenset[str]


class NotReadable(ValueError):
    """The text is no rule; its words say why."""


@lru_cache(maxsize=1024)  # many rules share their text
def parsed(text: str) -> Expression:
    """Raises NotReadable."""
    if not text.strip():
        return Expression(_always, frozenset())
    reader = _Reader(list(_tokens(text)))
    test = reader.alternatives(0)
    if reader.next is not None:
        raise NotReadable(f"{reader.next!r} stands where 'and', 'or' or the end is expected")
    return Expression(test, frozenset(reader.references))


def _tokens(text: str) -> Iterator[str]:
    """Brackets belong to the language at a word's ends alone: ``%(name)s`` has them inside."""
    for word in text.split():
        rest = word.lstrip("(")
        yield from "(" * (len(word) - len(rest))
        kept = rest.rstrip(")")
        if kept:
            yield kept
        yield from ")" * (len(rest) - len(kept))


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens[::-1]
        self.references: set[str] = set()

    @property
    def next(self) -> str | None:
        return self._tokens[-1] if self._tokens else None

    def _takes(self, word: str) -> bool:
        if self.next is None or self.next.lower() != word:
            return False
        self._tokens.pop()
        return True

    def alternatives(self, depth: int) -> Test:
        tests = [self._conjunction(depth)]
        while self._takes("or"):
            tests.append(self._conjunction(depth))
        return tests[0] if len(tests) == 1 else lambda now: any(test(now) for test in tests)

    def _conjunction(self, depth: int) -> Test:
        tests = [self._part(depth)]
        while self._takes("and"):
            tests.append(self._part(depth))
        return tests[0] if len(tests) == 1 else lambda now: all(test(now) for test in tests)

    def _part(self, depth: int) -> Test:
        if depth > _DEEPEST:
            raise NotReadable(f"more than {_DEEPEST} brackets or negations stand inside each other")
        if self._takes("not"):
            test = self._part(depth + 1)
            return lambda now: not test(now)
        if self._takes("("):
            inner = self.alternatives(depth + 1)
            if not self._takes(")"):
                raise NotReadable("a bracket is not closed")
            return inner
        if self.next is None or self.next.lower() in (")", "and", "or"):
            raise NotReadable(f"a check is expected {'at the end' if self.next is None else f'before {self.next!r}'}")
        return self._check(self._tokens.pop())

    def _check(self, word: str) -> Test:
        if word in ("@", "!"):
            return _always if word == "@" else _never
        kind, colon, match = word.partition(":")
        if not colon or not kind or not match:
            raise NotReadable(f"{word!r} is no check; expected KIND:VALUE, @ or !")
        if kind == "rule":
            self.references.add(match)
            return lambda now: now.rules[match].passes(now)
        if kind == "role":
            return _role(match)
        if kind in ("http", "https"):
            raise NotReadable(f"{word!r} asks another server, which this server does not do")
        return _comparison(kind, match)


def _always(_now: Situation) -> bool:
    return True


def _never(_now: Situation) -> bool:
    return False


def _role(name: str) -> Test:
    if "%" in name:
        raise NotReadable(f"'role:{name}' takes no value of the target")
    wanted = name.lower()
    return lambda now: wanted in now.roles


def _comparison(kind: str, match: str) -> Test:
    """``kind``: an attribute of the caller, or a literal; ``match``: a text, or what the target has."""
    given = _placeholder(match)
    literal = _literal(kind)
    if literal is None and kind not in ATTRIBUTES:
        known = ", ".join(sorted({"role", "rule", *ATTRIBUTES}))
        raise NotReadable(f"{kind!r} is nothing that is known of a caller; known: {known}")

    def test(now: Situation) -> bool:
        if given is not None and given not in now.target:
            return False
        wanted = str(now.target[given]) if given is not None else match
        return wanted == (literal if literal is not None else str(now.attributes.get(kind)))

    return test


def _placeholder(match: str) -> str | None:
    """The target's value that it stands for; None: it is a text."""
    if "%" not in match:
        return None
    found = _PLACEHOLDER.fullmatch(match)
    if found is None:
        raise NotReadable(f"{match!r} is neither a text nor %(NAME)s")
    if found[1] not in TARGETS:
        raise NotReadable(f"{match!r} is nothing that is known of a target; known: {', '.join(sorted(TARGETS))}")
    return found[1]


def _literal(kind: str) -> str | None:
    """Of a quoted text, a number, True or None."""
    try:
        return str(ast.literal_eval(kind))
    except (ValueError, SyntaxError):
        return None
