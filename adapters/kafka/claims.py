"""What the Kafka adapter promises: on one broker, as `provision` sets topics up."""

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

BROKER_KILL: Final[tuple[Fault, ...]] = ("consumer-loss", "broker-kill")


def claims(max_payload: int, window: float) -> Claims:
    """The claims for a broker that takes encoded events of up to `max_payload` bytes.

    window: seconds within which a second copy of an event is not delivered, 0 for none.
    """
    found = Deduplication(scope="key", window=window) if window else Deduplication()
    return Claims(
        loss="never",
        duplicates="permitted",
        ordering=Ordering(scope="key", strictness="settled", publish="pipelined"),
        groups="durable",
        isolation="key",
        ack="confirmed",
        fencing="broker",
        redelivery=Redelivery(nack=True, lease_end=True, consumer_loss=True),
        backoff="durable",
        attempts=Attempts(never_low=True),
        dead_letter="one-across-crash",
        positions=True,
        idempotent_publish=True,
        consume_dedup=found,
        survives=Survives(
            messages=BROKER_KILL,
            acks=BROKER_KILL,
            attempts=BROKER_KILL,
            delays=BROKER_KILL,
            dedup=BROKER_KILL if window else (),
        ),
        replay="earliest",
        expiry=True,
        flow=Flow(max_in_flight=True, max_payload=max_payload),
    )
