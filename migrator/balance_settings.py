"""The settings ``usage_*`` and ``rebalance_*``: how real use is sampled, and what is proposed to balance it."""

from pydantic import BaseModel, Field


class BalanceSettings(BaseModel):
    usage_sample_interval: float = Field(300.0, ge=0)  # s between two samples of what is really used; 0: none are taken
    usage_retention: float = Field(7 * 24 * 3600.0, ge=3600)  # s that samples are kept, by the hour
    rebalance_window: float = Field(2 * 3600.0, ge=3600)  # s of samples that a rebalance looks back on
    rebalance_lifetime: float = Field(3600.0, ge=60)  # s in which what a rebalance proposes can be accepted
    rebalance_at_most: int = Field(20, ge=1, le=1000)  # moves that one rebalance proposes
    rebalance_at_most_per_day: int = Field(100, ge=1, le=100_000)  # moves of all rebalances that begin in 24 hours
    rebalance_floor: float = Field(0.75, gt=0, le=1)  # part of a host's processors up to which it is never hot
    rebalance_memory_floor: float = Field(0.9, gt=0, le=1)  # likewise, of its memory
    rebalance_gap: float = Field(0.1, ge=0.01, le=1)  # above the fleet's mean by which a host is hot
    rebalance_fill: float = Field(0.8, gt=0, le=1)  # part of a host up to which instances are packed, by their peaks
    # HH:MM-HH:MM, UTC, in which no move of a rebalance begins; "": there are none
    rebalance_quiet_hours: str = Field("", pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])?$")
