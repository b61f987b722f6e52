"""Whether a host counts as lost, so that its instances may be evacuated: it is down, and something says that it runs
nothing. One answer for an evacuation of one instance and of all.
"""

from migrator.db.rows import HostRow
from migrator.errors import BadRequest, Conflict
from migrator.scheduler.state import fencing
from migrator.scheduler.state.host_views import host_view
from migrator.settings import ServerSettings

IN_USE = "Compute service is still in use"


def check(source: HostRow, settings: ServerSettings, cannot: str) -> None:
    """``cannot``: how a refusal begins. Raises BadRequest (it is up), Conflict (nothing is known of it yet, no
    evidence)."""
    view = host_view(source, settings.service_down_time)
    if view.up:
        raise BadRequest(f"Compute service of {source.name} is still in use.", without_hosts=f"{IN_USE}.")
    if view.awaited and not fencing.forced_down(source):
        message = f"{cannot} the servers came back {source.listening_s:.0f} s ago, and"
        late = (
            f"may not have had the time to speak to them; ask again when {settings.service_down_time:g} s have passed, "
            "or set forced_down"
        )
        raise Conflict(f"{message} host {source.name} {late}", without_hosts=f"{message} its host {late}")
    # One that answers stops its guest itself, and says so.
    if not view.heard and fencing.evidence(source, settings) is None and not settings.fence_command:
        silent = "is silent, but nothing says that its guests do not run any more."
        raise Conflict(
            f"{cannot} host {source.name} {silent} {fencing.wanted(source)}",
            without_hosts=f"{cannot} its host {silent}",
        )
