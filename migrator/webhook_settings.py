"""The settings ``webhook_*``: where the servers may send events, and for how long they try."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from migrator import setting_values


class WebhookSettings(BaseModel):
    # addresses and networks that webhooks may be sent to, by http too, besides https to the public internet's addresses
    webhook_networks: tuple[Annotated[str, AfterValidator(setting_values.network)], ...] = ()
    # a PEM file: the only authorities whose certificates receivers may have; without it, those that certifi knows
    webhook_cafile: Path | None = None
    webhook_timeout: float = Field(10.0, gt=0, le=60)  # s that a receiver may take for one event
    # s for which an event is sent again to a receiver that does not take it; then it is given up
    webhook_retry_for: float = Field(259200.0, ge=60)
