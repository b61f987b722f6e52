"""For how long hosts run, as their agents told with their last survey, in the words of the command `uptime`.

Owns these words, which clients take apart. What no agent told, and what a host that is down told last, is None.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from migrator.api.process.services import Services
from migrator.db import surveys
from migrator.db.rows import HostRow
from migrator.protocol import Uptime
from migrator.scheduler.state import host_views

_DAY_S, _HOUR_S, _MINUTE_S = 86400, 3600, 60


def of_hosts(services: Services, hosts: Sequence[HostRow]) -> Mapping[str, str | None]:
    down_after = services.settings.service_down_time
    up = [row.name for row in hosts if host_views.host_view(row, down_after).up]
    with services.db.read() as connection:
        told = surveys.uptimes(connection, up)
    now = datetime.now(UTC)
    return {row.name: _uptime_line(now, *told[row.name]) if row.name in told else None for row in hosts}


def _uptime_line(now: datetime, body: object, age_s: float) -> str | None:
    try:
        told = Uptime.model_validate(body)
    except ValidationError:
        return None
    days, rest = divmod(int(told.seconds + max(0.0, age_s)), _DAY_S)
    ran = f"{days} day{'' if days == 1 else 's'}, " if days else ""
    ran += f"{rest // _HOUR_S:2}:{rest % _HOUR_S // _MINUTE_S:02}"
    users = f"{told.users} user{'' if told.users == 1 else 's'}"
    load = ", ".join(f"{one:.2f}" for one in told.load)
    return f" {now:%H:%M:%S} up {ran},  {users},  load average: {load}"
