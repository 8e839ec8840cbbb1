"""Publishing: one event, one request, one confirmation."""

from __future__ import annotations

from typing import Final

import msgspec

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.nats import api, content, naming
from eventproof.adapters.nats.api import PubAck
from eventproof.adapters.nats.content import HEADROOM, Content
from eventproof.adapters.nats.link import Link, NoAnswer
from eventproof.adapters.port import Receipt
from eventproof.schemas.event import Event

MESSAGE_ID: Final = "Nats-Msg-Id"
MAX_ID: Final = 4096  # bytes of one

_decode = msgspec.json.Decoder(PubAck).decode


def max_event(link: Link) -> int:
    """Bytes of the largest encoded event: its dead letter must fit into `max_payload` too."""
    limit = link.client.max_payload
    return limit - min(HEADROOM, limit // 2)


async def publish(link: Link, topic: str, event: Event) -> Receipt:
    """Store the event in the topic's stream, which recognises it by source and id.

    Raises Rejected (`too-large`, `no-topic`, `invalid`, `full`, `forbidden`, `closed`), Indeterminate.
    """
    encoded = content.encode(event, link.mode, max_event(link))
    # `+` is in neither percent-encoded half, so it separates them as the blank did; headers may lose blanks.
    message_id = event.identity.replace(" ", "+")
    if len(message_id) > MAX_ID:
        raise Rejected("invalid", f"source and id take {len(message_id)} bytes encoded, at most {MAX_ID} fit")
    ack = await store(link, topic, naming.subject(link.prefix, topic, event), encoded, message_id)
    return Receipt(str(ack.seq), None, ack.duplicate)


async def store(
    link: Link, topic: str, subject: str, encoded: Content, message_id: str, *, timeout: float | None = None
) -> PubAck:
    """Write one message and await the server's confirmation. Raises as `publish` does."""
    headers = {MESSAGE_ID: message_id, **encoded.headers}
    size = content.total(headers, encoded.body)
    if size > link.client.max_payload:  # the server would end the connection
        raise Rejected("too-large", f"{size} bytes with headers, the server takes {link.client.max_payload}")
    try:
        reply = await link.request(subject, encoded.body, headers=headers, timeout=timeout)
    except NoAnswer:
        # For want of a stream only if the server says that there is none.
        await link.within_deadline("publish", api.stream_info(link, naming.stream(link.prefix, topic)))
        raise
    ack = _decode(reply.data)
    if ack.error is not None:
        raise api.refusal(ack.error)
    if not ack.seq:
        raise Indeterminate("the answer is no confirmation of a stream")
    return ack
