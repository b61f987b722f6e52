"""The alert rules and the board in ``packaging/`` name what ``/metrics`` serves, and promtool reads them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from migrator.alarms import ADVICE, AlarmKind
from migrator.db.clock import now
from migrator.db.tables import operations
from migrator.operations import OPERATIONS, Kind
from migrator.scheduler.fleet import capacity_check
from tests.api import seed
from tests.api.harness import Web
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
RULES = ROOT / "packaging/prometheus/migrator.rules.yml"
BOARD = ROOT / "packaging/grafana/migrator.json"
UNITS = ROOT / "tests/packaging/migrator.rules.test.yml"
ENDED = {"failed", "error", "cancelled", "reverted", *(kind.completed for kind in OPERATIONS.values())}
PHASES = {phase.name for kind in OPERATIONS.values() for phase in kind.phases}
TARGET = {"up": {"job": {"migrator"}, "instance": set[str]()}}  # of Prometheus itself, for each server that it scrapes
NAME = re.compile(r"\b(migrator_\w+|up)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")


class Used(NamedTuple):
    """One metric of an expression: its labels are those of its matchers."""

    metric: str
    values: Mapping[str, frozenset[str]]


def used(expression: str) -> Iterator[Used]:
    for metric, matchers in NAME.findall(expression):
        yield Used(metric, {label: frozenset(value.split("|")) for label, value in MATCHER.findall(matchers)})


def wrong(expression: str, served: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """What no server serves: a metric, a label of it, or a value of that label."""
    found, common = [], set[str]()
    for metric, values in used(expression):
        labels = served.get(metric)
        if labels is None:
            found.append(metric)
            continue
        common |= set(labels)
        found += [f"{metric}: {label}" for label in values if label not in labels]
        for label, message in values.items():
            found += [f"{metric}: {label}={word}" for word in sorted(message - labels.get(label, message) - {"$host"})]
    grouped = {label.strip() for labels in GROUPED.findall(expression) for label in labels.split(",")}
    return found + sorted(grouped - common)


@pytest.fixture
def served(web: Web) -> Mapping[str, Mapping[str, set[str]]]:
    """Metric -> label -> values, with an operation under way, one that is over, and a look at the capacity."""
    uuid = seed.instance(web.db, "a", task_state="migrating")
    seed.migration(web.db, uuid, "running")
    outcome = {"elapsed_ms": 1, "downtime_ms": 1, "setup_ms": 1, "iterations": 1}
    over = seed.migration(web.db, uuid, "completed", outcome=outcome)
    with web.db.write() as connection:
        values = {"finished_at": now(connection) - 60}
        connection.execute(update(operations).where(operations.c.id == over).values(values))
    assert capacity_check.check(web.db, web.services.settings)
    found: dict[str, dict[str, set[str]]] = {name: dict(labels) for name, labels in TARGET.items()}
    for family in text_string_to_metric_families(web("GET", "/metrics", None).text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    for labels in (labels for name, labels in found.items() if name.startswith("migrator_operations_")):
        labels["kind"] |= set(Kind)  # all that there may be
        other = (labels.keys() - {"kind"}).pop()
        labels[other] |= {"phase": PHASES, "status": ENDED}[other]
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_every_metric_label_and_value_of_the_rules_is_served(served: Mapping[str, Mapping[str, set[str]]]) -> None:
    assert {rule["alert"]: wrong(rule["expr"], served) for rule in rules()} == {rule["alert"]: [] for rule in rules()}
    bad = 'sum by (host, zone) (migrator_alarms{kind=~"split|renamed",where="x"}) and migrator_gone > 0'
    assert wrong(bad, served) == [
        "migrator_alarms: where",
        "migrator_alarms: kind=renamed",
        "migrator_gone",
        "host",
        "zone",
    ]


def test_the_page_has_every_metric_and_every_rule(served: Mapping[str, Mapping[str, set[str]]]) -> None:
    page = (ROOT / "docs/monitoring.md").read_text()
    named = set(re.findall(r"`(_?\w+)`", page))  # the later ones of a row without what they begin with
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in served if name not in TARGET}
    assert [
        name for name in families if not any(name == word or name.endswith(word) for word in named if word[0] in "_m")
    ] == []
    told = re.findall(r"^\| `(Migrator\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert dict(told) == {rule["alert"]: rule["labels"]["severity"] for rule in rules()}


def test_every_kind_of_alarm_has_one_rule() -> None:
    having: dict[AlarmKind, list[str]] = {kind: [] for kind in ADVICE}
    for rule in rules():
        for operator, pattern in re.findall(r'migrator_alarms\{kind(=~|!~|=)"([^"]*)"', rule["expr"]):
            for kind, names in having.items():
                if (re.fullmatch(pattern, kind) is None) == (operator == "!~"):
                    names.append(rule["alert"])
    assert {kind: len(names) for kind, names in having.items()} == dict.fromkeys(AlarmKind, 1)


def test_a_rule_says_in_a_sentence_what_is_and_what_to_do_and_names_only_labels_that_it_has() -> None:
    for rule in rules():
        said = rule["annotations"]
        assert set(said) == {"summary", "description"}
        assert all(text.endswith(".") for text in said.values()), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        labels = set(re.findall(r"\$labels\.(\w+)", str(said)))
        grouped = re.search(r"\bby \(([^)]*)\)", rule["expr"])
        has = set(grouped.group(1).split(", ")) if grouped else {"instance"} if rule["expr"].startswith("up") else set()
        assert labels <= has, rule["alert"]


def test_a_rule_tells_of_commands_that_exist() -> None:
    from migrator.cli.main import parser

    (verbs,) = (action.choices for action in parser()._actions if action.dest == "command")
    named = set(re.findall(r"`migrator ([\w-]+)", RULES.read_text()))
    assert len(named) > 5
    assert named <= set(verbs or ())


def promtool(*arguments: str) -> None:
    assert shutil.which("promtool") is not None, "script/bootstrap installs it"
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=PATIENCE * 20)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_speaks_when_it_should_and_promtool_takes_the_file() -> None:
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(UNITS))
    tested = UNITS.read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in tested] == []


def test_the_configuration_that_the_page_shows_is_one_of_prometheus(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/monitoring.md").read_text(), re.DOTALL)
    assert [job["job_name"] for job in yaml.safe_load(shown)["scrape_configs"]] == ["migrator"]
    (tmp_path / "prometheus.yml").write_text(shown.replace("/etc/prometheus/migrator.rules.yml", str(RULES)))
    promtool("check", "config", "--syntax-only", str(tmp_path / "prometheus.yml"))


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(BOARD.read_text())["panels"] if panel["type"] != "row"]


def asked(panel: Mapping[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def test_every_metric_label_and_value_of_the_board_is_served(served: Mapping[str, Mapping[str, set[str]]]) -> None:
    board = json.loads(BOARD.read_text())
    asking = [expression for panel in panels() for expression in asked(panel)]
    asking += [row["definition"] for row in board["templating"]["list"] if row["type"] == "query"]
    assert {expression: wrong(expression, served) for expression in asking} == {expression: [] for expression in asking}
    shown = {re.sub("_(bucket|sum|count)$", "", one.metric) for expression in asking for one in used(expression)}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in served} == shown, "each metric is on the board"


def test_a_legend_names_only_labels_that_its_series_have() -> None:
    for panel in panels():
        for target in panel["targets"]:
            grouped = re.search(r"\bby \(([^)]*)\)", target["expr"])
            has = set(grouped.group(1).split(", ")) if grouped else set()
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= has, panel["title"]


def test_promtool_takes_each_expression_of_the_board(tmp_path: Path) -> None:
    asking = [expression.replace("$host", ".*") for panel in panels() for expression in asked(panel)]
    recorded = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asking)]
    path = tmp_path / "board.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": recorded}]}))
    promtool("check", "rules", str(path))


def test_no_two_panels_lie_on_the_same_place() -> None:
    every = json.loads(BOARD.read_text())["panels"]
    assert len({panel["id"] for panel in every}) == len(every) > 20
    places = [
        (x, y)
        for at in (panel["gridPos"] for panel in every)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
