"""Names that were changed do not come back: a list of them, each with the name to use.

Owns the list of names; ``test_words`` owns the words that no sentence has. Reads identifiers, the names of files, the
sentences that the code prints, the changelog, and what a line of the timeline is called.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.unit.test_words import DOCUMENTED, FENCED, LISTED, NAMES, QUOTED, ROOT

CODE = ("migrator", "tests")  # a revision stays as it was written

ANYWHERE: Mapping[str, str] = {  # whatever it names
    "Wish": "ActionRule",
    "Looker": "AssignmentPoller",
    "Wakers": "HostNotifier",
    "wakers": "notifier",
    "Wheel": "SteerRequest",
    "Outbox": "FactQueue",
    "Means": "MigrationOptions",
    "Permitted": "AllowedStrategies",
    "Need": "PlacementRequest",
    "Judged": "HostChecks",
    "Judgement": "ConditionStatus",
    "Surveyed": "SurveyRecord",
    "GuestSight": "GuestObservation",
    "VolumeSight": "VolumeProbe",
    "StaleRow": "ConcurrentUpdate",
    "NotOffered": "NotImplemented",
    "Fabric": "SimulatedCluster",
    "fabric": "simulation",
    "Fencer": "FenceRunner",
    "TORN": "POSTCOPY_LOST; PARTIAL",
    "HOLD": "SWITCHOVER",
    "PAUSED_BY_HAND": "PAUSE_REASON_USER",
    "meanwhile": "during_live_migration; the act itself",
    "go_on": "advance, resume",
    "go_back": "rollback",
    "still_here": "guest_on_source",
    "rests": "user_paused",
    "broken_off": "postcopy_dead",
    "held_up": "queue_wait",
    "queued_at": "wait_in_queue",
    "speaks": "liveness",
    "use_up": "consume",
    "put_back": "restore, requeue",
    "never_by_itself": "disable_autostart",
    "unless_absent": "ignore_missing_domain",
    "raise_epoch": "bump_epoch",
    "between_hosts": "skipped_on_same_host",
    "memory_given_mb": "memory_allocated_mb",
    "grain_mib_s": "sample_resolution_mib_s",
    "again_s": "next_survey_s, retry_after_s",
    "words": "message",
    "_words": "_describe_...",
    "_told": "_describe_...",
}
DEFINED: Mapping[str, str] = {  # a class, function or field of the product; as the name of a local it may be plain
    "Standing": "NameClaim, LocationStatus, TransferProgress",
    "Load": "MoveSize, TransferEstimateInput",
    "Copy": "DomainEntry, DiskCopyJob",
    "Kept": "SavedLease, StoredJson",
    "Wanted": "RemoteFile, InstanceWays",
    "Ask": "AssignmentContext",
    "Begun": "StartedAction",
    "Place": "QueuePosition, PagePosition",
    "Power": "TargetPowerState",
    "Memory": "OperationState",
    "Tools": "HandlerContext",
    "reverse": "start_rollback",
    "marks": "versions",
    "places": "hosts_of, positions",
    "swap": "compare_and_swap, exchange",
    "keep": "upsert, run",
    "many": "get_many, list_of",
    "one": "get",
    "glance": "list_live",
    "look": "read, survey, check",
    "knock": "probe_port",
    "pet": "keepalive",
    "strays": "unknown_disks",
    "shown": "migration_status, view",
    "holds": "locks_instance",
    "owed": "undo_deferrable, deferred_undos",
    "kill": "destroy_running",
    "home": "state_pool, record_host",
}
HANDLERS: Mapping[str, str] = {  # a function, and no flag
    "movable": "source_checked",
    "offered": "disks_exported",
    "withdrawn": "disks_unexported",
    "copied": "disks_copied",
    "rebuilt": "disks_rebuilt",
    "powered": "power_state_applied",
    "prepared": "target_prepared",
    "measured": "dirty_rate_measured",
    "described": "guest_described",
}
FILES = frozenset({"meanwhile", "looking", "owing", "wakers", "fabric", "words", "fencer", "torn", "choosing"})
KEYS = {"migrator/scheduler/decision/operation_data.py": frozenset({"owed"})}  # of rows
SENTENCES: Mapping[str, int] = {"migrator/api/v1/routes.py": 1}  # a summary in docs/openapi.json

_ANY = re.compile(rf"\b({'|'.join(ANYWHERE)})\b")
_DEFINITION = re.compile(rf"^ *(?:(?:async )?def |class )?({'|'.join([*DEFINED, *HANDLERS])})\b(?=\(|:| =)", re.M)
_EVENT = re.compile(r"\b(?:Timeline|events\.add)\(\s*(?:connection,\s*)?[\"']")


def test_no_name_that_was_changed_is_used_again() -> None:
    assert list(old_names(ROOT)) == []


def test_no_file_has_a_name_that_was_changed() -> None:
    files = (path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    assert [str(path) for path in files if FILES & set(path.stem.split("_")) and path != ROOT / WORDS_TEST] == []


def test_a_line_of_the_timeline_has_a_type_and_no_free_string() -> None:
    found = [path for path, text in sources(ROOT) if path.startswith("migrator/") and _EVENT.search(text)]
    assert found == []


def test_no_sentence_that_the_code_prints_has_a_word_of_the_list() -> None:
    found = [path for path, text in sources(ROOT) if path.startswith("migrator/") for _ in _bad_sentences(text)]
    assert {path: found.count(path) for path in found} == SENTENCES


def test_the_changelog_has_no_word_of_the_list_either() -> None:
    text = QUOTED.sub("", FENCED.sub("", (ROOT / "CHANGELOG.md").read_text()))
    assert [word for word in LISTED.findall(text) if word not in NAMES] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x.fabric = 1\n", ["fabric"]),
        ("def f(words: str) -> None: ...\n", ["words"]),
        ("f(again_s=1)\n", ["again_s"]),
        ("from a import Wish\n", ["Wish"]),
        ('x = f"{words}"\n', ["words"]),
        ('x = "words"  # in words\n', []),
        ("class A:\n    holds: bool = True\n", ["holds"]),
        ("def keep() -> None: ...\n", ["keep"]),
        ("async def look() -> None: ...\n", ["look"]),
        ("def copied() -> None: ...\n", ["copied"]),
        ("class A:\n    copied: int = 0\n", []),
        ("keep = 1\n", []),
    ],
)
def test_an_old_name_is_found_where_it_names_something(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "migrator").mkdir()
    (tmp_path / "migrator" / "a.py").write_text(text)
    assert [line.split(": ")[1] for line in old_names(tmp_path)] == found


def test_a_word_is_found_in_a_sentence_and_in_no_other_text() -> None:
    text = '"""Nobody."""\nx = f"nobody has {y}"\ny = "nobody"\n'
    assert list(_bad_sentences(text)) == ["nobody"]


WORDS_TEST = "tests/unit/test_words.py"
OWN = {WORDS_TEST, "tests/unit/test_old_names.py"}


@cache
def sources(root: Path) -> list[tuple[str, str]]:
    paths = sorted(path for folder in CODE for path in (root / folder).rglob("*.py"))
    return [(str(path.relative_to(root)), path.read_text()) for path in paths]


def old_names(root: Path) -> Iterator[str]:
    """``file: name: what to use``."""
    replacements = {**HANDLERS, **DEFINED, **ANYWHERE}
    for path, text in sources(root):
        if path in OWN:
            continue
        found = set(_ANY.findall(text)) & set(_identifiers(text)) if _ANY.search(text) else set()
        if path.startswith("migrator/") and _DEFINITION.search(text):
            found |= set(_definitions(ast.parse(text))) - KEYS.get(path, frozenset())
        yield from (f"{path}: {name}: {replacements[name]}" for name in sorted(found))


def _identifiers(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        for field in ("id", "attr", "arg", "name", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def _definitions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            handlers = {} if isinstance(node, ast.ClassDef) else HANDLERS
            yield from {node.name} & (DEFINED.keys() | handlers.keys())
        if isinstance(node, ast.ClassDef):
            fields = {part.target.id for part in node.body if _is_field(part)}  # type: ignore[attr-defined]
            yield from fields & DEFINED.keys()


def _is_field(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)


def _bad_sentences(text: str) -> Iterator[str]:
    """Words of the list in texts of more than one word that are no documentation."""
    if not LISTED.search(text):
        return
    tree = ast.parse(text)
    documentation = {id(node.body[0].value) for node in ast.walk(tree) if _documented(node)}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            listed = LISTED.findall(QUOTED.sub("", node.value)) if " " in node.value.strip() else []
            yield from (word for word in listed if word not in NAMES)


def _documented(node: ast.AST) -> bool:
    return isinstance(node, DOCUMENTED) and bool(node.body) and isinstance(node.body[0], ast.Expr)
