"""The settings ``usage_*``: how what is really used is sampled."""

from pydantic import BaseModel, Field


class BalanceSettings(BaseModel):
    usage_sample_interval: float = Field(300.0, ge=0)  # s between two samples of what is really used; 0: none are taken
    usage_retention: float = Field(7 * 24 * 3600.0, ge=3600)  # s that samples are kept, by the hour
