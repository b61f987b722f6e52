"""Draws ``docs/operations.md`` from the table of operations, so that the picture cannot differ from the code. Pure."""

from collections.abc import Iterable

from migrator.operations import OPERATIONS, Operation, Phase

_HEAD = """# Operations

Generated from `migrator/operations.py` by `script/docs`; do not edit. Read a table down for the way forward and up for
the way back. Once the phase after the line is reached, there is only forward.

```mermaid
flowchart LR
  client[client] -- HTTP --> api
  api --> db[(database)]
  reconciler -- "decide()" --> db
  api -. hint .-> reconciler
  a[agent on the source] -- "long-poll, facts" --> api
  b[agent on the destination] -- "long-poll, facts" --> api
  a --> la[libvirtd]
  b --> lb[libvirtd]
  la == "peer-to-peer migration" ==> lb
```
"""


def document() -> str:
    """The whole page, Markdown with Mermaid diagrams."""
    return "\n".join([_HEAD, *(_section(operation) for operation in OPERATIONS.values())])


def _section(operation: Operation) -> str:
    return "\n".join([f"## {operation.kind}\n", "```mermaid", *_diagram(operation), "```\n", *_table(operation), ""])


def _diagram(operation: Operation) -> Iterable[str]:
    yield "flowchart LR"
    for phase in operation.phases:
        yield f'  {phase.name}_["{phase.name}<br/>{phase.actor}: {phase.do}"]'
    for before, after in zip(operation.phases, operation.phases[1:], strict=False):
        arrow = "== no return ==>" if after.name == operation.point_of_no_return else "-->"
        yield f"  {before.name}_ {arrow} {after.name}_"


def _table(operation: Operation) -> Iterable[str]:
    yield "| phase | actor | do | undo | the other host reports too |"
    yield "| --- | --- | --- | --- | --- |"
    for phase in operation.phases:
        if phase.name == operation.point_of_no_return:
            yield "| **point of no return** | | | | |"
        yield _row(phase)


def _row(phase: Phase) -> str:
    return f"| {phase.name} | {phase.actor} | {phase.do} | {phase.undo or '-'} | {'yes' if phase.watch else '-'} |"


if __name__ == "__main__":
    print(document(), end="")
