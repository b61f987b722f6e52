"""Starts guests again that stopped by a failure, where they are: by ``ha_policy``, with pauses, and not for ever.

Any server looks, at any time. That a guest failed is written down where its host's list is compared with the record
(``db/guest_failures.py``); the start is an operation like any other, and its transaction marks the failure as answered.
"""

import uuid as uuids
from contextlib import suppress

from migrator.alarms import AlarmKind
from migrator.db import alarms, events, guest_failures, host_domains, hosts, instances, operations
from migrator.db.drain_rows import GuestFailureRow
from migrator.db.engine import Connection, Database
from migrator.db.rows import InstanceRow
from migrator.errors import ConcurrentUpdate, InstanceBusy, MigratorError
from migrator.event_types import EventType
from migrator.operations import Kind
from migrator.scheduler.fleet import silent_hosts
from migrator.scheduler.fleet.plan.guest_failure import FailureAnswer, answer
from migrator.scheduler.fleet.plan.ha_policy import policy_of
from migrator.scheduler.requests import host_boots
from migrator.scheduler.requests.requests import Caller, at_rest, begin, refuse_second_copy
from migrator.scheduler.state.host_views import host_view
from migrator.settings import ServerSettings

_USER = "ha_policy"


class _Answered(Exception):
    """By another server, or the guest has failed again since."""


def check(db: Database, settings: ServerSettings) -> list[int]:
    """At every guest that failed. The operations that were begun."""
    with db.read() as connection:
        rows = guest_failures.every(connection)
        found = instances.by_uuids(connection, [row.instance_uuid for row in rows])
    begun = []
    for row in rows:
        instance = found.get(row.instance_uuid)
        with suppress(_Answered, ConcurrentUpdate, InstanceBusy):  # it is looked at again
            operation_id = _look_at(db, settings, row, instance)
            begun += [operation_id] if operation_id is not None else []
    return begun


def _look_at(db: Database, settings: ServerSettings, row: GuestFailureRow, instance: InstanceRow | None) -> int | None:
    if instance is None or (not row.due and row.age_s >= guest_failures.WINDOW_S and instance.vm_state != "stopped"):
        with db.write() as connection:
            guest_failures.forget(connection, row)
            alarms.clear_alarm(connection, AlarmKind.GUEST_FAILS, instance_uuid=row.instance_uuid)
        return None
    if not row.due:
        if instance.vm_state != "stopped":
            _clear(db, row)
        elif row.operation_id is not None:
            _check_start(db, row, row.operation_id)
        return None
    with db.read() as connection:
        found = _answer(connection, settings, row, instance)
    if found is FailureAnswer.WAIT:
        return None
    with db.write() as connection:
        if found is FailureAnswer.START:
            return _start(connection, settings, row)
        if not guest_failures.answer(connection, row):
            raise _Answered
        if found is FailureAnswer.GIVE_UP:
            what = "its guest failed, or could not be started"
            message = f"{what}, {row.failures} times, each less than an hour after the one before"
            alarms.raise_alarm(connection, AlarmKind.GUEST_FAILS, message, instance_uuid=row.instance_uuid)
        return None


def _answer(
    connection: Connection, settings: ServerSettings, row: GuestFailureRow, instance: InstanceRow
) -> FailureAnswer:
    name = instance.host or ""
    of_aggregates = silent_hosts.policies_of_hosts(connection, [name]).get(name, ())
    policy = policy_of(instance.metadata or {}, of_aggregates, settings.ha_policy).policy
    up = any(host_view(host, settings.service_down_time).up for host in hosts.by_names(connection, [name]))
    attempts, backoff_s = settings.ha_attempts, settings.ha_backoff
    return answer(policy, instance.vm_state, row.failures, row.age_s, up=up, attempts=attempts, backoff_s=backoff_s)


def _start(connection: Connection, settings: ServerSettings, row: GuestFailureRow) -> int | None:
    """Its operation; None: it may not be started. Raises InstanceBusy, ConcurrentUpdate, _Answered."""
    uuid = row.instance_uuid
    try:
        instance = at_rest(connection, uuid, Kind.START)
        refuse_second_copy(Kind.START, instance, host_domains.live_elsewhere(connection, uuid, instance.host))
        host_boots.refuse_disputed(connection, uuid)
    except InstanceBusy:
        raise
    except MigratorError as error:
        if not guest_failures.fail_again(connection, row):
            raise _Answered from error
        message = f"the guest failed, and is not started again now: {error.message}"
        events.add(connection, EventType.POWER_STATE_CHANGED, message, instance_uuid=uuid)
        return None
    caller = Caller(_USER, instance.project_id, f"req-{uuids.uuid4()}")
    operation_id = begin(connection, caller, Kind.START, uuid, instance.host, seen=instance)
    if not guest_failures.answer(connection, row, operation_id):
        raise _Answered
    message = f"the guest failed, and is started again (attempt {row.failures} of {settings.ha_attempts})"
    events.add(connection, EventType.POWER_STATE_CHANGED, message, instance_uuid=uuid, host=instance.host)
    return operation_id


def _check_start(db: Database, row: GuestFailureRow, operation_id: int) -> None:
    """A start that ended in an error, and that no person cancelled, is a failure of its own."""
    with db.read() as connection:
        found = next(iter(operations.get_many(connection, [operation_id])), None)
    if found is None or found.active or found.error is None or found.cancel_requested:
        return
    with db.write() as connection:
        if guest_failures.fail_again(connection, row):
            message = f"the guest failed, and could not be started again: {found.error.get('message')}"
            uuid, host = row.instance_uuid, found.source
            events.add(connection, EventType.POWER_STATE_CHANGED, message, instance_uuid=uuid, host=host)


def _clear(db: Database, row: GuestFailureRow) -> None:
    """A person has started it."""
    with db.read() as connection:
        raised = alarms.listed(connection, instance_uuid=row.instance_uuid, kinds=[AlarmKind.GUEST_FAILS.value])
    if raised:
        with db.write() as connection:
            guest_failures.forget(connection, row)
            alarms.clear_alarm(connection, AlarmKind.GUEST_FAILS, instance_uuid=row.instance_uuid)
