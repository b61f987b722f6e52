"""What an operation's row keeps in JSON, typed: what was asked for, what was found out, what an operator wants.

Pure. Parsed once, where a row is read. A key that this release does not know, be it of a newer one or of an older one,
stays in the row as it was. What does not fit its type is a ``ValueError``: the operation is set aside, unreadable.
"""

from collections.abc import Mapping
from typing import Any, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from migrator.protocol import DiskFact, GuestDescription, TargetPowerState

Json = Mapping[str, Any]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)  # an alias is the row's key


class StoredJson(_Frozen):
    """``raw``: all that the row has, with what this release does not know."""

    _raw: Json = PrivateAttr(default_factory=dict)

    @classmethod
    def parse(cls, raw: Json) -> Self:
        """Raises ValueError. None for a key that has a default means the default."""
        found = cls.model_validate({name: value for name, value in raw.items() if value is not None})
        found._raw = dict(raw)
        return found

    @property
    def raw(self) -> Json:
        return self._raw

    def updated(self, changes: Json) -> Self:
        return self.parse({**self._raw, **changes}) if changes else self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredJson) and self._raw == other._raw

    __hash__ = None  # type: ignore[assignment]


class Window(_Frozen):
    """What of resize_confirm_window has been counted, and until when (s, by the database's clock)."""

    at: float
    counted_s: float = 0.0


class Measured(_Frozen):
    dirty_mib_s: float | None = None


class StrategyRecord(_Frozen):
    """By which means a live migration was begun, and went on."""

    chosen: str
    reason: str = ""
    predicted_downtime_ms: int | float | None = None
    predicted_total_ms: int | float | None = None
    initial_percent: int = 0
    network_mib_s: float | None = None
    measured: Measured = Measured()
    changed_to: str = ""


class Params(StoredJson):
    """What was asked for when the operation began."""

    soft: bool = True  # a guest may shut itself down
    block: bool | None = None  # disks are copied; None: find out
    over_commit: bool = False
    trust_marker: bool = False  # pools with one marker are one storage, without a proof
    same_host: bool = False
    kept: str = ""  # the operation that put disks aside
    power: TargetPowerState | None = None  # of an instance whose host cannot be asked
    lost_images: tuple[str, ...] = ()  # that the catalogue has not any more
    surviving: Mapping[str, str] = Field(default_factory=dict)  # pool -> identity of what outlived its host
    admin_pass: str | Mapping[str, str] | None = None  # encrypted in the database
    old_flavor: Mapping[str, Any] | None = None
    new_flavor: Mapping[str, Any] | None = None

    @property
    def password(self) -> str | None:
        """As it was typed; None while it is not readable."""
        return self.admin_pass if isinstance(self.admin_pass, str) else None


class Context(StoredJson):
    """What phases have found out, for those that follow."""

    guest: GuestDescription | None = None
    power: TargetPowerState | None = None  # as it was found
    shared: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)  # destination -> pools that it shares
    lent: Mapping[str, str] = Field(default_factory=dict)  # target, or image -> path at which the source lends it
    copied: Mapping[str, str] = Field(default_factory=dict)  # target -> checksum of the complete copy, at both ends
    postcopy_lost: bool = Field(False, alias="torn")  # the alarm of a post-copy that failed was raised once
    stayed: bool = False  # it turned forward again, for its source had nothing to go back to
    undoing: bool = False  # the source has shown its disks, and the guest at the destination may be stopped
    window: Window | None = None
    refused: Mapping[str, list[str]] = Field(default_factory=dict)  # host -> why it was not to be
    deferred_undos: tuple[str, ...] = Field(
        (), alias="owed"
    )  # phases whose undoing was put off, in the order in which they will be undone
    strategy: StrategyRecord | None = None
    destination_disks: tuple[DiskFact, ...] = ()
    post_copy: bool = True  # permitted when the transfer began
    limit_mib_s: int = 0  # on the transfer when it began; 0: none
    evidence: str = ""  # that the host was fenced, as it was accepted
    overdue: str = ""  # the phase of which the alarm was raised that it lasts too long


class StrategyJson(TypedDict, total=False):
    """A ``StrategyRecord`` as the row has it, with what is only shown."""

    chosen: str
    reason: str
    predicted_downtime_ms: int | float | None
    predicted_total_ms: int | float | None
    initial_percent: int
    bandwidth_mib_s: float | None
    bandwidth_by: str
    network_mib_s: float | None
    measured: Mapping[str, Any]
    changed_to: str
    changed_because: str


class ContextUpdate(TypedDict, total=False):
    """What a plan adds to the context: keys and values as the row has them."""

    guest: dict[str, Any]
    power: str
    shared: Mapping[str, list[str]]
    lent: Mapping[str, str]
    copied: Mapping[str, str]
    torn: bool
    stayed: bool
    undoing: bool
    window: Mapping[str, float] | None
    refused: Mapping[str, list[str]]
    owed: list[str]
    strategy: StrategyJson
    destination_disks: list[dict[str, Any]]
    post_copy: bool
    limit_mib_s: int
    evidence: str
    overdue: str
    set_aside: list[dict[str, Any]]


class ContextJson(ContextUpdate, total=False):
    """A row's context as it is shown, whether this release can read all of it or not."""

    disks: list[dict[str, Any]]


class Steering(StoredJson):
    """What an operator wants of a transfer from now on; None: what the settings say."""

    bandwidth_mib_s: int | None = None  # 0: no limit
    max_downtime_ms: int | None = None
    held: bool = False
    force: bool = False
    released_at: float = 0.0  # since when it is held no more, by the servers' clock

    def bandwidth(self, otherwise: int) -> int:
        """MiB/s."""
        return otherwise if self.bandwidth_mib_s is None else self.bandwidth_mib_s


class SteeringUpdate(TypedDict, total=False):
    force: bool


class SteeringJson(SteeringUpdate, total=False):
    """What an operator may want of a transfer, as requests bring it and the row has it."""

    bandwidth_mib_s: int | None
    max_downtime_ms: int | None
    held: bool
    released_at: float
