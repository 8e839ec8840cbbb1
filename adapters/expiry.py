"""When an event is past its time."""

from __future__ import annotations

from eventproof.adapters.clock import now
from eventproof.schemas import timestamps
from eventproof.schemas.event import Event


def expired(event: Event) -> bool:
    """Past its `expirytime`. A dead letter keeps that of its original and does not expire."""
    expiry = event.extensions.get("expirytime")
    if expiry is None or "dlreason" in event.extensions:
        return False
    return timestamps.parse("expirytime", str(expiry))[0] <= now()
