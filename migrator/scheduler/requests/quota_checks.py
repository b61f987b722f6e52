"""Whether a project may have more: asked in the transaction that takes it, so that it holds under races.

Owns the words, which are Nova's. ``settings``: the limits of ``quota_*``. Raises QuotaExceeded.
"""

from collections.abc import Mapping

from migrator.db import key_pairs, networks, quotas, server_groups
from migrator.db.engine import Connection
from migrator.db.key_pairs import Owner
from migrator.db.quotas import UNLIMITED, Limits
from migrator.errors import QuotaExceeded


def instances(
    connection: Connection, project_id: str, settings: Limits, flavor: Mapping[str, int], least: int, most: int
) -> int:
    """How many of ``most`` instances of the flavor may begin: ``least`` at least."""
    quotas.hold(connection, project_id)
    limits, used = quotas.limits(connection, project_id, settings), quotas.usage(connection, project_id)
    one = {"instances": 1, "cores": flavor["vcpus"], "ram": flavor["memory_mb"]}
    free = [(limits[n] - used[n]) // each for n, each in one.items() if limits[n] != UNLIMITED and each > 0]
    allowed = max(0, min([most, *free]))
    if allowed < least:
        asked = {name: str(most * each) for name, each in one.items()}
        asked["instances"] = str(least) if least == most else f"{least}-{most}"
        _refuse({name: most * each for name, each in one.items()}, asked, limits, used)
    return allowed


def ports(connection: Connection, project_id: str, settings: Limits, each: int, least: int, most: int) -> int:
    """How many of ``most`` instances may begin that get ``each`` interfaces: ``least`` at least. In a transaction that
    holds the project."""
    limit = settings["ports"] if each else UNLIMITED
    if limit == UNLIMITED:
        return most
    allowed = max(0, min(most, (limit - networks.count(connection, project_id)) // each))
    if allowed < least:
        raise QuotaExceeded("Maximum number of ports exceeded")
    return allowed


def resize(connection: Connection, project_id: str, settings: Limits, old: Mapping[str, int], new: Limits) -> None:
    """Only what grows is asked for."""
    quotas.hold(connection, project_id)
    more = {"cores": new["vcpus"] - old["vcpus"], "ram": new["memory_mb"] - old["memory_mb"]}
    more = {name: amount for name, amount in more.items() if amount > 0}
    limits, used = quotas.limits(connection, project_id, settings), quotas.usage(connection, project_id)
    _refuse(more, {name: str(amount) for name, amount in more.items()}, limits, used)


def _refuse(more: Limits, asked: Mapping[str, str], limits: Limits, used: Limits) -> None:
    over = sorted(n for n, amount in more.items() if limits[n] != UNLIMITED and used[n] + amount > limits[n])
    if over:
        requested, taken = ", ".join(asked[n] for n in over), ", ".join(str(used[n]) for n in over)
        allowed, names = ", ".join(str(limits[n]) for n in over), ", ".join(over)
        raise QuotaExceeded(
            f"Quota exceeded for {names}: Requested {requested}, but already used {taken} of {allowed} {names}"
        )


def metadata_items(connection: Connection, project_id: str, settings: Limits, count: int) -> None:
    """Items of one server."""
    most = quotas.limits(connection, project_id, settings)["metadata_items"]
    if _over(most, count):
        raise QuotaExceeded(f"Maximum number of metadata items exceeds {most}")


def key_pair(connection: Connection, owner: Owner, settings: Limits) -> None:
    """One more of the user's."""
    quotas.hold(connection, owner.project_id)
    room_for_key_pair(connection, owner, settings)


def room_for_key_pair(connection: Connection, owner: Owner, settings: Limits) -> None:
    """At this moment: another request may take it."""
    most = quotas.limits(connection, owner.project_id, settings)["key_pairs"]
    if _over(most, key_pairs.count(connection, owner) + 1):
        raise QuotaExceeded("Quota exceeded, too many key pairs.")


def server_group(connection: Connection, project_id: str, settings: Limits) -> None:
    quotas.hold(connection, project_id)
    most = quotas.limits(connection, project_id, settings)["server_groups"]
    if _over(most, server_groups.count(connection, project_id) + 1):
        raise QuotaExceeded("Quota exceeded, too many server groups.")


def group_members(connection: Connection, project_id: str, settings: Limits, group: str, more: int) -> None:
    """In a transaction that has locked the group."""
    most = quotas.limits(connection, project_id, settings)["server_group_members"]
    if _over(most, len(server_groups.members(connection, [group])[group]) + more):
        raise QuotaExceeded("Quota exceeded, too many servers in group")


def _over(most: int, count: int) -> bool:
    return most != UNLIMITED and count > most
