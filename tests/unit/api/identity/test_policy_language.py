"""The language of rules: what each check means, that it agrees with oslo.policy itself, and what is no rule."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_policy import policy as oslo

from migrator.api.identity.policy_language import Expression, NotReadable, Situation, parsed

TARGET = {"project_id": "p1", "user_id": "u1"}
ALIASES = {"own": "project_id:%(project_id)s", "reads": "role:reader and rule:own"}


def passes(text: str, roles: tuple[str, ...] = (), target: dict[str, str] | None = None, **attributes: Any) -> bool:
    rules: dict[str, Expression] = {name: parsed(rule) for name, rule in ALIASES.items()}
    return parsed(text).passes(Situation(frozenset(roles), attributes, TARGET if target is None else target, rules))


@pytest.mark.parametrize(
    ("text", "roles", "attributes", "expected"),
    [
        # text                                          roles           attributes                 holds
        ("", (), {}, True),
        ("@", (), {}, True),
        ("!", ("admin",), {}, False),
        ("role:admin", ("admin",), {}, True),
        ("role:Admin", ("admin",), {}, True),
        ("role:admin", ("member",), {}, False),
        ("project_id:%(project_id)s", (), {"project_id": "p1"}, True),
        ("project_id:%(project_id)s", (), {"project_id": "p2"}, False),
        ("user_id:u7", (), {"user_id": "u7"}, True),
        ("is_admin:True", (), {"is_admin": True}, True),
        ("system_scope:all", (), {"system_scope": "all"}, True),
        ("'u1':%(user_id)s", (), {}, True),
        ("rule:own", (), {"project_id": "p1"}, True),
        ("rule:reads", ("reader",), {"project_id": "p1"}, True),
        ("rule:reads", (), {"project_id": "p1"}, False),
        ("role:a or role:b and role:c", ("a",), {}, True),
        ("(role:a or role:b) and role:c", ("a",), {}, False),
        ("not role:a and role:b", ("b",), {}, True),
        ("not (role:a or role:b)", ("b",), {}, False),
        ("role:a OR role:b", ("b",), {}, True),
        ("not not role:a", ("a",), {}, True),
    ],
)
def test_a_rule_holds_as_its_words_say(
    text: str, roles: tuple[str, ...], attributes: dict[str, Any], expected: bool
) -> None:
    assert passes(text, roles, **attributes) is expected


def test_what_the_target_does_not_have_equals_nothing() -> None:
    assert not passes("user_id:%(user_id)s", target={"project_id": "p1"}, user_id="u1")


CHECKS = ["@", "!", "role:a", "role:b", "project_id:%(project_id)s", "user_id:%(user_id)s", "rule:own", "user_id:u2"]
RULES = st.recursive(
    st.sampled_from(CHECKS),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map("({})".format),
        st.sampled_from(CHECKS).map("not {}".format),
        inner.map("not ({})".format),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    text=RULES,
    roles=st.sets(st.sampled_from(["a", "b"])),
    project=st.sampled_from(["p1", "p2"]),
    user=st.sampled_from(["u1", "u2"]),
)
def test_a_decision_is_the_one_that_oslo_policy_makes(text: str, roles: set[str], project: str, user: str) -> None:
    conf = cfg.ConfigOpts()
    conf([])
    theirs = oslo.Enforcer(conf, use_conf=False)
    theirs.set_rules(oslo.Rules.from_dict({**ALIASES, "asked": text}), use_conf=False)
    expected = bool(theirs.enforce("asked", TARGET, {"roles": list(roles), "project_id": project, "user_id": user}))
    assert passes(text, tuple(roles), project_id=project, user_id=user) is expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("role:a and", "a check is expected at the end"),
        ("and role:a", "a check is expected before 'and'"),
        ("(role:a", "a bracket is not closed"),
        ("role:a)", "stands where 'and', 'or' or the end is expected"),
        ("role:a role:b", "'role:b' stands where"),
        ("admin", "'admin' is no check"),
        ("role:", "is no check"),
        ("rolle:admin", "'rolle' is nothing that is known of a caller"),
        ("user_id:%(owner)s", "'%(owner)s' is nothing that is known of a target"),
        ("user_id:%(user_id)", "is neither a text nor %(NAME)s"),
        ("role:%(user_id)s", "takes no value of the target"),
        ("http://policy.example/%(name)s", "asks another server"),
        ("(" * 500 + "@" + ")" * 500, "brackets or negations stand inside each other"),
        ("not " * 500 + "@", "brackets or negations stand inside each other"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(NotReadable) as refused:
        parsed(text)
    assert why in str(refused.value)
