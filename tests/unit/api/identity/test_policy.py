"""The policy in force: defaults, overrides, scopes, and files that stop the start with their line."""

import json
from pathlib import Path

import pytest

from migrator.api.identity import policy
from migrator.api.identity.callers import caller_of
from migrator.api.identity.keystone import identity_of
from migrator.api.identity.policy_language import parsed
from migrator.api.identity.policy_rules import RULES, by_operation
from migrator.errors import SettingInvalid
from migrator.scheduler.requests.requests import Caller

START, LIST, METRICS = "os_compute_api:servers:start", "os_compute_api:servers:index", "migrator:metrics"
ELSEWHERE = {"project_id": "other", "user_id": "u9"}


def caller(*roles: str, **more: str) -> Caller:
    project = "" if "system_scope" in more else "p1"
    return Caller("u1", project, "", is_admin="admin" in roles, roles=frozenset(roles), **more)  # type: ignore[arg-type]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return path


def test_every_default_can_be_read_and_every_operation_has_one_rule() -> None:
    for rule in RULES.values():
        parsed(rule.default)
    assert len(by_operation()) == sum(len(rule.operations) for rule in RULES.values())


def test_a_role_passes_what_it_is_for_in_its_own_project_alone() -> None:
    rules = policy.load(None)
    assert rules.allows(START, caller("member"))
    assert not rules.allows(START, caller("member"), ELSEWHERE)
    assert rules.allows(START, caller("admin"), ELSEWHERE)
    assert not rules.allows(START, caller("reader"))
    assert rules.allows(LIST, caller("reader"))
    assert not rules.allows("os_compute_api:no:such:rule", caller("admin"))


def test_a_token_for_the_system_passes_rules_about_the_system_alone() -> None:
    rules = policy.load(None)
    assert not rules.allows(LIST, caller("admin", "reader", system_scope="all"))
    assert rules.allows(METRICS, caller("admin", system_scope="all"))
    assert not rules.allows(METRICS, caller("reader", system_scope="all"))


@pytest.mark.parametrize("scope", [{"domain": {"id": "d1", "name": "Customers"}}, {}])
def test_an_administrator_of_a_domain_is_none_here_and_passes_no_rule(tmp_path: Path, scope: dict[str, object]) -> None:
    """Keystone names the role of a domain's administrator "admin", too."""
    roles = [{"id": name, "name": name} for name in ("admin", "manager", "member", "reader")]
    token = {"user": {"id": "u1"}, "roles": roles, **scope}
    for rules in (policy.load(None), policy.load(written(tmp_path, f'"{METRICS}": "@"\n"{LIST}": "role:admin"\n'))):
        known = caller_of(identity_of(token), "", rules)
        assert not known.is_admin
        assert not [name for name in RULES if rules.allows(name, known)]
        assert not [name for name in RULES if rules.allows(name, known, {"project_id": "", "user_id": "u1"})]


def test_a_file_overrides_single_rules_and_what_they_are_made_of(tmp_path: Path) -> None:
    rules = policy.load(
        written(
            tmp_path,
            f'# as oslo.policy writes it\n"{START}": "rule:starters"\n'
            'starters: "role:operator or user_id:%(user_id)s"\n'
            f'"{METRICS}": ""\n"context_is_admin": [["role:root"], ["role:admin", "user_id:u2"]]\n',
        )
    )
    assert rules.overridden
    assert rules.allows(START, caller("operator"), ELSEWHERE)
    assert rules.allows(START, caller(), {"project_id": "p1", "user_id": "u1"})
    assert not rules.allows(START, caller("member"), ELSEWHERE)
    assert rules.allows(METRICS, caller())
    assert rules.allows("context_is_admin", caller("root"))
    assert not rules.allows("context_is_admin", caller("admin"))


def test_json_and_an_empty_file_are_read_as_well(tmp_path: Path) -> None:
    assert policy.load(written(tmp_path, json.dumps({START: "!"}))).allows(LIST, caller("reader"))
    assert not policy.load(written(tmp_path, "")).overridden


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('"os_compute_api:servers:strat": "@"\n', 1, "os_compute_api:servers:strat: no such rule"),
        (f'\n"{START}": "role:member and"\n', 2, f"{START}: a check is expected at the end"),
        (f'\n\n"{START}": "rolle:admin"\n', 3, "'rolle' is nothing that is known"),
        (f'"{START}": "rule:nobody_knows"\n', 1, "it names the rule nobody_knows, which is not there"),
        ('one: "rule:two"\ntwo: "rule:one"\n', 1, "one: it is made of itself"),
        ('context_is_admin: "rule:project_member_or_admin"\n', 1, "it is made of itself"),
        (f'"{START}": "@"\n"{START}": "!"\n', 2, "stands in line 1, too"),
        (f'"{START}": 3\n', 1, "a rule is a text"),
        (f'"{START}": {{a: b}}\n', 1, "a rule is a text"),
        ('"a": "@"\n"b: "@"\n', 2, "found character"),
        ("- a\n- b\n", 1, "expected lines such as"),
    ],
)
def test_an_error_in_a_file_is_told_with_its_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingInvalid) as refused:
        policy.load(path)
    assert str(refused.value).startswith(f"policy_file = {path}, line {line}: ")
    assert why in str(refused.value)


@pytest.mark.parametrize(("content", "why"), [(b"\xff\xfe", "no UTF-8"), (b"a" * 1_048_577, "larger than")])
def test_a_file_that_is_no_text_of_a_sensible_size_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingInvalid, match=why):
        policy.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="No such file"):
        policy.load(tmp_path / "absent.yaml")
