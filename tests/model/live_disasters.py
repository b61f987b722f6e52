"""What befalls hosts, guests and disks in the live world beside the crashes of processes."""

from tests.model.live_agent import crashed
from tests.model.live_state import State, on
from tests.model.live_transfer import job_fails, libvirtd_dies


def power_cut(state: State, i: int) -> State:
    """Guests and agent end with their host. Its definitions are there when it is back, and one that libvirt had only
    just forgotten, too; why a guest stopped is not."""
    state = crashed(libvirtd_dies(state, i), i)
    host = state.hosts[i]
    if host.dom == "incoming":
        state = on(state, i, dom="absent", stamp=None)
    elif host.dom != "absent":
        state = on(state, i, dom="shut_off", reason="unknown")
    elif host.unsynced is not None:
        state = on(state, i, dom="shut_off", reason="unknown", stamp=host.unsynced, unsynced=None)
    return on(state, i, silent=True)


def guest_ends(state: State) -> State:
    """The guest stops or crashes, and its transfer with it: what was sent is no guest."""
    home = state.home
    assert home is not None
    if state.job is not None and state.job[0] != "resumed":
        state = job_fails(state)
    return on(state, home, dom="shut_off", reason="shutdown")


def disk_is_lost(state: State, i: int) -> State:
    """With whatever ran on it."""
    ran = state.hosts[i].dom == "running"
    return on(state, i, disk="", **({"dom": "shut_off", "reason": "crashed"} if ran else {}))
