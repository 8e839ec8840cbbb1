"""What the memory broker promises in each configuration."""

from __future__ import annotations

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
from eventproof.adapters.memory.state import Options

OUTLIVED: tuple[Fault, ...] = ("consumer-loss", "broker-kill")


def claims(options: Options) -> Claims:
    """The claims of a memory broker so configured."""
    if options.delivery == "at-most-once":
        return Claims(
            duplicates="never",
            ordering=ordering(options),
            groups="durable",
            sharing="events",
            positions=True,
            idempotent_publish=True,
            publish_dedup=dedup(options, "publish"),
            survives=Survives(dedup=OUTLIVED if options.dedup == "publish" else ()),
            expiry=True,
            flow=Flow(max_payload=options.max_payload),
        )
    return Claims(
        loss="never",
        duplicates="permitted",
        ordering=ordering(options),
        groups="durable",
        sharing="events",
        isolation="key" if options.lane == "event" else options.lane,
        ack="confirmed",
        fencing="broker",
        redelivery=Redelivery(nack=True, lease_end=True, consumer_loss=True, within=1.0),
        backoff="durable",
        attempts=Attempts(never_low=True, never_high=True),
        dead_letter="one-across-crash",
        positions=True,
        idempotent_publish=True,
        publish_dedup=dedup(options, "publish"),
        consume_dedup=dedup(options, "consume"),
        survives=survives(options),
        replay="earliest",
        expiry=True,
        flow=Flow(max_in_flight=True, max_payload=options.max_payload),
    )


def ordering(options: Options) -> Ordering:
    """One lane for the whole topic orders it, for all groups alike."""
    whole = options.lane == "topic" and options.delivery == "at-least-once"
    settled = options.lane != "event" and options.delivery == "at-least-once"
    return Ordering(
        scope="topic" if whole else "key",
        strictness="settled" if settled else "first-delivery",
        publish="pipelined",
        agreement="groups" if whole else "none",
    )


def dedup(options: Options, side: str) -> Deduplication:
    return Deduplication(scope="topic", window=options.window) if options.dedup == side else Deduplication()


def survives(options: Options) -> Survives:
    """A kill is simulated and takes nothing of these; the end of the process takes everything."""
    dedup = () if options.dedup == "none" else OUTLIVED
    return Survives(messages=OUTLIVED, acks=OUTLIVED, attempts=OUTLIVED, delays=OUTLIVED, dedup=dedup)
