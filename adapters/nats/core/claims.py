"""What core NATS promises: an event is handed to one present member of each group, once or not at all.

Nothing is stored, so nothing comes back, is counted or is recognised. No order is claimed, not even of a key:
the server deals a key's events to all members, and one that is busy hands its share out late.
"""

from __future__ import annotations

from typing import Final

from eventproof.adapters.claims import Claims, Flow, Redelivery

DUE: Final = 1.0  # seconds after which a published event that was not handed out will not be


def claims(max_payload: int) -> Claims:
    """The claims for a server that takes encoded events of up to `max_payload` bytes."""
    return Claims(
        loss="may",
        duplicates="never",
        sharing="events",
        redelivery=Redelivery(within=DUE),
        expiry=True,
        flow=Flow(max_in_flight=True, max_payload=max_payload),
    )
