"""The part of the JetStream API that the adapter uses, as values.

Asked directly and not through the client's own manager: that one turns "create" into "create or change",
and a group's policy must never be changed in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from eventproof.adapters.errors import EventproofError, Indeterminate, Rejected, Unreachable
from eventproof.adapters.nats.link import Link

NANOSECONDS: Final = 1_000_000_000

# The few errors that are certain: the server refused before it did anything.
KINDS: Final[Mapping[int, str]] = {
    10014: "no-group",  # consumer not found
    10059: "no-topic",  # stream not found
    10058: "conflict",  # stream exists with another configuration
    10065: "conflict",  # subjects overlap with another stream
    10148: "conflict",  # consumer exists with another configuration
    10054: "too-large",  # message beyond the stream's maximum
    10097: "too-large",  # headers beyond 64 KiB
    10109: "closed",  # stream sealed
}
STORE_FAILED: Final = 10077  # certain only for a limit of the stream, never for a failing disk
LIMITS: Final = ("maximum bytes exceeded", "maximum messages exceeded")


class ApiError(msgspec.Struct, frozen=True):
    err_code: int = 0
    description: str = ""


class Reply(msgspec.Struct, frozen=True):
    error: ApiError | None = None


class PubAck(Reply, frozen=True):
    seq: int = 0
    duplicate: bool = False


class StreamConfig(msgspec.Struct, frozen=True):
    metadata: dict[str, str] = {}


class StreamState(msgspec.Struct, frozen=True):
    messages: int = 0
    first_seq: int = 0
    last_seq: int = 0


class StreamInfo(Reply, frozen=True):
    config: StreamConfig = StreamConfig()
    state: StreamState = StreamState()


class ConsumerConfig(msgspec.Struct, frozen=True):
    metadata: dict[str, str] = {}
    inactive_threshold: int = 0


class Floor(msgspec.Struct, frozen=True):
    stream_seq: int = 0


class ConsumerInfo(Reply, frozen=True):
    config: ConsumerConfig = ConsumerConfig()
    ack_floor: Floor = Floor()
    num_ack_pending: int = 0
    num_pending: int = 0
    num_waiting: int = 0


R = TypeVar("R", bound=Reply)


async def call(link: Link, subject: str, answer: type[R], body: Mapping[str, Any] | None = None) -> R:
    """One request to `$JS.API.<subject>`. Raises Rejected for the errors in KINDS, else Indeterminate."""
    payload = b"" if body is None else msgspec.json.encode(body)
    reply = msgspec.json.decode((await link.request(f"$JS.API.{subject}", payload)).data, type=answer)
    if reply.error is not None:
        raise refusal(reply.error)
    return reply


def refusal(error: ApiError) -> EventproofError:
    """What an error of JetStream means for the act."""
    if error.err_code in KINDS:
        return Rejected(KINDS[error.err_code], error.description)
    if error.err_code == STORE_FAILED and error.description in LIMITS:
        return Rejected("full", error.description)
    return Indeterminate(f"JetStream error {error.err_code}: {error.description}")


async def stream_info(link: Link, stream: str) -> StreamInfo:
    return await call(link, f"STREAM.INFO.{stream}", StreamInfo)


async def consumer_info(link: Link, stream: str, durable: str) -> ConsumerInfo:
    return await call(link, f"CONSUMER.INFO.{stream}.{durable}", ConsumerInfo)


async def all_consumers(link: Link, stream: str, durables: list[str]) -> list[ConsumerInfo]:
    return list(await asyncio.gather(*(consumer_info(link, stream, durable) for durable in durables)))


async def check_jetstream(link: Link) -> None:
    """Raises Unreachable if the server or the account has no JetStream."""
    try:
        await call(link, "INFO", Reply)
    except (Indeterminate, Rejected) as error:
        raise Unreachable(f"the NATS server has no JetStream for us: {error}") from error
