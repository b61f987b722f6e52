"""What an action of a server is: who may ask for it, with which body, and what is answered. Data types only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migrator.api.routing import ApiRequest, Versioned
from migrator.api.v2_1.actions.schemas import ANYTHING


@dataclass(frozen=True, slots=True)
class StartedAction:
    """``operation_id`` None: nothing to reconcile. ``body`` None: the answer has no body."""

    operation_id: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerAction:
    """``begin`` gets the request, the instance's row and the action's own value.

    ``afterwards`` may hold the answer back, and refuse, once the operation has begun: it gets its id, and gives what
    is to be true before (None: nothing) and for how many seconds that is waited for at the longest.
    """

    begin: Callable[[ApiRequest, Any, Any], StartedAction]
    body: Versioned = ANYTHING
    when_locked: bool = False
    status: int = 202
    afterwards: Callable[[ApiRequest, int], tuple[Callable[[], bool] | None, float]] | None = None
