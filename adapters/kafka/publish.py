"""Publishing: one event, one record, one confirmation."""

from __future__ import annotations

from typing import Final

from eventproof.adapters.errors import Rejected
from eventproof.adapters.kafka import content, naming, questions
from eventproof.adapters.kafka.content import HEADROOM
from eventproof.adapters.kafka.link import Link
from eventproof.adapters.kafka.producer import Producer
from eventproof.adapters.port import Receipt
from eventproof.schemas.event import Event

MAX_BYTES: Final = "message.max.bytes"
DEFAULT_MAX_BYTES: Final = 1_048_588  # of a broker that does not tell us its own


def max_event(largest: int) -> int:
    """Bytes of the largest encoded event, at a broker that takes batches of up to `largest` bytes: the batch
    around it and its dead letter must fit too."""
    return largest - min(HEADROOM, largest // 2)


async def largest_batch(link: Link) -> int:
    """Bytes of the largest batch of records that the broker takes. Raises Indeterminate."""
    try:
        found = await questions.configuration(link, None, [MAX_BYTES])
    except Rejected:  # whoever may publish need not be permitted to read the configuration
        return DEFAULT_MAX_BYTES
    return int(found.get(MAX_BYTES, DEFAULT_MAX_BYTES))


async def publish(producer: Producer, topic: str, event: Event, limit: int) -> Receipt:
    """Store the event in the partition of its key. limit: bytes of the largest one.

    Raises Rejected (`too-large`, `no-topic`, `invalid`, `forbidden`, `closed`), Indeterminate.
    """
    link = producer.link
    encoded = content.encode(event, link.mode, limit)
    spread = event.identity.encode() if encoded.key is None else encoded.key
    stored = await producer.store(naming.topic(link.prefix, topic), spread, encoded)
    return Receipt(None if stored.offset is None else str(stored.offset), stored.partition)
