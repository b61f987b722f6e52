"""libvirt's part in the live world: a transfer goes on, ends or fails, whatever the agents do."""

from collections.abc import Iterator

from migrator.protocol import PAUSE_REASON_USER
from tests.model.live_state import WHOLE, State, Step, on


def libvirtd_dies(state: State, i: int) -> State:
    """The guest lives on; a transfer that it took part in does not."""
    state = on(state, i, libvirtd=False)
    if state.hosts[i].dom == "shut_off":  # why a domain stopped is not remembered across a restart
        state = on(state, i, reason="unknown")
    if state.job is None or i not in state.job[1:]:
        return state
    stage, source, destination = state.job
    state = state._replace(job=None)
    for h in (source, destination):  # each agent's call came back broken
        state = on(state, h, started=None, quiet=False)
    if state.hosts[source].user_paused:
        return state if stage == "resumed" else on(state, destination, dom="absent", stamp=None)
    if stage == "copy":
        return on(on(state, source, dom="running", reason=None), destination, dom="absent", stamp=None)
    if stage == "switch":  # the source waits for a word that never comes
        return on(on(state, source, dom="paused", reason="migration"), destination, dom="absent", stamp=None)
    return on(state, source, dom="paused", reason="migration")  # the destination runs already


def job_steps(state: State, undefined: bool) -> Iterator[Step]:
    if state.job is None:
        return
    stage, source, destination = state.job
    yield from _job_forward(state, undefined, stage, source, destination)
    if state.faults > 0 and stage in ("copy", "switch"):
        yield "transfer fails", job_fails(state._replace(faults=state.faults - 1))


def _job_forward(state: State, undefined: bool, stage: str, source: int, destination: int) -> Iterator[Step]:
    user_paused = state.hosts[source].user_paused
    if stage == "copy":
        after = state._replace(job=("switch", source, destination))
        yield "switch over", after if user_paused else on(after, source, dom="paused", reason=None)
    elif stage == "switch":
        after = state._replace(job=("resumed", source, destination), home=destination)
        arrived = {"dom": "paused", "reason": PAUSE_REASON_USER} if user_paused else {"dom": "running"}
        yield "resume there", on(after, destination, disk=WHOLE, kept=True, unsynced=None, **arrived)
    else:
        after = state._replace(job=None)
        if undefined:
            forgotten = state.hosts[source].stamp
            yield "confirm", on(after, source, dom="absent", stamp=None, reason=None, unsynced=forgotten)
        else:
            yield "confirm", on(after, source, dom="shut_off", reason="migrated")


def job_fails(state: State) -> State:
    assert state.job is not None
    _, source, destination = state.job
    state = state._replace(job=None)
    if not state.hosts[source].user_paused:
        state = on(state, source, dom="running", reason=None)
    return on(state, destination, dom="absent", stamp=None)
