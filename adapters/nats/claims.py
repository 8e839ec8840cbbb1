"""What the JetStream adapter promises: on one server with file storage, as `provision` sets topics up.

What is less than one might hope for has its reason in the server: acks are forgotten by a kill -9 shortly
after them, the attempt count is the server's count of deliveries, stale acks are not refused by it.
"""

from __future__ import annotations

from typing import Final

from eventproof.adapters.claims import (
    Attempts,
    Claims,
    Deduplication,
    Fault,
    Flow,
    Ordering,
    Redelivery,
    Survives,
)

WINDOW: Final = 120.0
CONSUMER_LOSS: Final[tuple[Fault, ...]] = ("consumer-loss",)
BROKER_KILL: Final[tuple[Fault, ...]] = ("consumer-loss", "broker-kill")


def claims(max_payload: int) -> Claims:
    """The claims for a server that takes encoded events of up to `max_payload` bytes."""
    return Claims(
        loss="never",
        duplicates="permitted",
        ordering=Ordering(scope="key", strictness="settled", publish="pipelined"),
        groups="durable",
        sharing="events",
        isolation="partition",
        ack="confirmed",
        fencing="clock",
        redelivery=Redelivery(nack=True, lease_end=True, consumer_loss=True),
        backoff="durable",
        attempts=Attempts(never_low=True),
        dead_letter="one-without-faults",
        positions=True,
        idempotent_publish=True,
        publish_dedup=Deduplication(scope="topic", window=WINDOW),
        survives=Survives(
            messages=BROKER_KILL,
            acks=CONSUMER_LOSS,
            attempts=CONSUMER_LOSS,
            delays=CONSUMER_LOSS,
            dedup=BROKER_KILL,
        ),
        replay="earliest",
        expiry=True,
        flow=Flow(max_in_flight=True, max_payload=max_payload),
    )
