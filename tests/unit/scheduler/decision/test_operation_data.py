"""What an operation's row keeps in JSON: rows of every release parse, and what this one does not know stays in them."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from migrator.operations import Kind
from migrator.protocol import TargetPowerState
from migrator.scheduler.decision.operation_data import Context, Params, Steering, StoredJson
from migrator.scheduler.decision.snapshot import Plan
from migrator.scheduler.decision.transition import after
from tests.model import server
from tests.unit.scheduler.decision.deciding import op

_DISK = {"target": "vda", "path": "/vda", "pool": "local", "exists": True, "format": "qcow2", "virtual_bytes": 9}
_GUEST = {"cpu_xml": "<cpu/>", "machine": "pc", "memory_mb": 64, "disks": [_DISK], "storage": {"local": "a"}}
_FLAVOR = {"vcpus": 1, "memory_mb": 64, "disk_gb": 1}
# What a revision of the database's tables first had in these columns: params, context, steering.
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "0001, a live migration": (
        {"block": None},
        {"guest": _GUEST, "refused": {"b": ["cpu: no"]}, "destination_disks": [_DISK]},
        {},
    ),
    "0001, a reboot": ({"soft": False}, {}, {}),
    "0002, a resize": (
        {"old_flavor": _FLAVOR, "new_flavor": _FLAVOR | {"name": "large"}, "same_host": False},
        {"guest": _GUEST, "power": "saved", "owed": ["copy"], "shared": {"b": ["shared"]}},
        {},
    ),
    "0002, an evacuation": (
        {"surviving": {"shared": "G"}, "power": "running", "admin_pass": "as typed"},
        {"evidence": "forced down by an operator", "disks": [{"target": "vda", "kept": True}]},
        {},
    ),
    "0004, a transfer that is steered": (
        {"block": True, "over_commit": True},
        {
            "strategy": {
                "chosen": "pre-copy",
                "reason": "",
                "predicted_total_ms": None,
                "measured": {"dirty_mib_s": 1.5},
            }
        },
        {"bandwidth_mib_s": 0, "max_downtime_ms": 300, "held": False, "released_at": 17.5},
    ),
    "0008, a post-copy that broke off": ({"block": None}, {"torn": True, "post_copy": True, "limit_mib_s": 7}, {}),
    "0009, a confirmation that is counted": (
        {"trust_marker": True, "admin_pass": {"encrypted": "gAAAA"}},
        {"copied": {"vda": "sha256:7"}, "window": {"at": 3.5, "counted_s": 2.0}, "stayed": True},
        {},
    ),
    "0009, one whose window was put back": ({}, {"window": None, "owed": [], "undoing": False}, {}),
    "0012, disks that were put aside": ({"kept": "op-1"}, {"set_aside": [{"pool": "local", "files": ["disk"]}]}, {}),
    "0013, a lent image": ({"lost_images": ["img"]}, {"lent": {"sda": "/lent/sda", "img": "/lent/img"}}, {}),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_an_earlier_release_parses_and_stays_as_it_was(name: str) -> None:
    models: tuple[type[StoredJson], ...] = (Params, Context, Steering)
    for model, raw in zip(models, ROWS[name], strict=True):
        found = model.parse(raw)
        assert found.raw == raw
        keys = {field.alias or name: name for name, field in model.model_fields.items()}
        known = {keys[key] for key, value in raw.items() if value is not None and key in keys}
        assert found.model_fields_set == known


def test_a_key_of_another_release_stays_in_the_row_through_a_change() -> None:
    context = Context.parse({"from_the_future": {"a": 1}, "power": "saved", "guest": {"new_word": 1}})
    changed = context.updated({"owed": ["copy"]})
    assert (changed.power, changed.deferred_undos) == (TargetPowerState.SAVED, ("copy",))
    assert changed.raw == {"from_the_future": {"a": 1}, "power": "saved", "guest": {"new_word": 1}, "owed": ["copy"]}
    assert context.deferred_undos == (), "what is known of an operation does not change under those who read it"


@pytest.mark.parametrize(
    ("model", "raw"),
    [
        (Context, {"power": "half"}),
        (Context, {"owed": "copy"}),
        (Context, {"shared": ["local"]}),
        (Params, {"surviving": ["shared"]}),
        (Steering, {"max_downtime_ms": "soon"}),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_and_no_default(model: Any, raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.parse(raw)


def test_a_password_goes_with_the_end_and_nothing_else_does() -> None:
    params = Params.parse({"admin_pass": {"encrypted": "x"}, "surviving": {"shared": "G"}, "from_the_future": 1})
    now = server.view_of(op(Kind.EVACUATION, "release"))
    ended = after(replace(now, params=params), Plan(final_status="completed"))
    assert ended.params.raw == {"surviving": {"shared": "G"}, "from_the_future": 1}
    assert (ended.active, ended.status, ended.wait_reason) == (False, "completed", None)
