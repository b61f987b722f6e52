"""The settings ``ha_*``: what the servers do on their own about hosts that are lost."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator


class HaSettings(BaseModel):
    # of instances whose host's aggregates say nothing else (migrator:ha); an instance's metadata may say what is more
    # careful. evacuate: begun again elsewhere when the host is lost and something says that it runs nothing; restart:
    # only where it is; off: nothing
    ha_policy: Literal["off", "restart", "evacuate"] = "off"
    ha_max_lost: int = Field(1, ge=1, le=1000)  # hosts silent together; with more, nothing is recovered or fenced
    # who runs fence_command for a host that no operator evacuates: an operator alone, or the servers
    ha_fence: Literal["operator", "automatic"] = "operator"
    ha_silence: float = Field(120.0, gt=0)  # s of silence after which the servers do
    ha_attempts: int = Field(3, ge=1, le=100)  # to evacuate an instance, before a person has to look
    ha_backoff: float = Field(10.0, ge=0)  # s from the first failure to the next attempt; each pause is twice as long

    @model_validator(mode="after")
    def _refuse_fencing_without_a_command(self) -> Self:
        if self.ha_fence == "automatic" and not getattr(self, "fence_command", ""):
            raise ValueError("ha_fence = automatic needs fence_command: without one the servers can fence nothing")
        return self
