"""Draws ``docs/policy.md`` from the table of rules and the table of URLs: who may do what, unless ``policy_file`` says
else."""

from collections.abc import Iterable

from migrator.api.access import BY_ACTION, operation_of
from migrator.api.identity.policy_rule import Rule
from migrator.api.identity.policy_rules import ALIASES, RULES
from migrator.api.urls import ROUTES
from migrator.api.v2_1.actions.dispatch import ACTIONS

_HEAD = """# Policy

Generated from `migrator/api/identity/policy_rules.py` by `script/docs`; do not edit. Names and defaults are Nova's, and
Glance's for images; what begins with `migrator:` is this server's own. A role contains those after it: admin, manager,
member, reader. Another project's servers, images and private flavors are not there (404) for everyone but
administrators, whatever a rule says.

A file that the setting `policy_file` names overrides single rules, in the format of oslo.policy:

```yaml
# readers see a console, and nobody reboots
"os_compute_api:os-console-output": "rule:project_reader_or_admin"
"os_compute_api:servers:reboot": "!"
```

It is read again when it changes. An error in it stops the start with its line, or, later, leaves in force what was read
before, and the log says so. A check compares a role (`role:member`), another rule (`rule:NAME`), or one of `user_id`,
`project_id`, `domain_id`, `system_scope` and `is_admin` with a text, `%(project_id)s` or `%(user_id)s` of the server;
`and`, `or`, `not` and brackets join checks; `@` is everyone, `!` no one. A token for the whole system passes no rule of
Nova's or Glance's, as Nova has it, and an administrator's passes this server's own. A token for a domain, or for
nothing, passes no rule, not even `@`, whatever its roles.
"""


def policy_page() -> str:
    served = _served()
    return "\n".join([_HEAD, *_aliases(), "", *_table(served), ""])


def _served() -> frozenset[str]:
    """What can be asked for: rows of the table of URLs, and actions."""
    rows = {operation_of(route) for route in ROUTES}
    actions = {f"POST /v2.1/servers/{{id}}/action ({name})" for name in ACTIONS}
    others = (one for rule in RULES.values() for one in rule.operations if "/servers/" not in one)
    return frozenset(rows | actions | {one for one in others if one.split(" (")[0] in BY_ACTION & rows})


def _aliases() -> Iterable[str]:
    yield "## What rules are made of\n"
    yield "| rule | check |"
    yield "| --- | --- |"
    yield from (f"| {name} | `{text}` |" for name, text in ALIASES.items())


def _table(served: frozenset[str]) -> Iterable[str]:
    yield "## Rules\n"
    yield "| rule | default | for | asked for by |"
    yield "| --- | --- | --- | --- |"
    for rule in RULES.values():
        operations = [one for one in rule.operations if one in served]
        if operations or rule.within:
            yield f"| {rule.name} | `{rule.default}` | {rule.about} | {_asked_by(rule, operations)} |"


def _asked_by(rule: Rule, operations: list[str]) -> str:
    return "a part of a request" if rule.within else "<br/>".join(f"`{one}`" for one in operations)
