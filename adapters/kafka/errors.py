"""Errors of aiokafka and of the broker, as ours. Whatever is not listed here is `Indeterminate`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aiokafka.errors as kafka

from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.secret import redacted

CLOSED: Final = "the connection to Kafka is closed"

# The broker answers these before it has done anything.
REFUSALS: Final[dict[type[Exception], str]] = {
    kafka.TopicAuthorizationFailedError: "forbidden",
    kafka.GroupAuthorizationFailedError: "forbidden",
    kafka.ClusterAuthorizationFailedError: "forbidden",
    kafka.TransactionalIdAuthorizationFailed: "forbidden",
    kafka.MessageSizeTooLargeError: "too-large",
    kafka.RecordListTooLargeError: "too-large",
    kafka.InvalidTopicError: "invalid",
    kafka.InvalidGroupIdError: "invalid",
    kafka.PolicyViolationError: "invalid",
    kafka.InvalidPartitionsError: "invalid",
    kafka.InvalidReplicationFactorError: "invalid",
    kafka.InvalidConfigurationError: "invalid",
    kafka.ProducerClosed: "closed",
    kafka.ConsumerStoppedError: "closed",
}

FOREIGN: Final = (
    kafka.KafkaError,
    kafka.ConsumerStoppedError,
    kafka.IllegalOperation,
    OSError,
    asyncio.TimeoutError,
)


def translate(error: Exception, act: str) -> Rejected | Indeterminate:
    """An error of the client library, or what the system raises below it, as the outcome of an act."""
    kind = REFUSALS.get(type(error))
    if kind is None:
        return Indeterminate(f"{act}: {told(error)}")
    return Rejected(kind, CLOSED if kind == "closed" else told(error))


@contextmanager
def translated(act: str) -> Iterator[None]:
    """Turn the client library's errors into ours."""
    try:
        yield
    except FOREIGN as error:
        raise translate(error, act) from error


def retriable(error: Exception) -> bool:
    """Whether the same question may be answered a little later: a broker that is gone, or not yet ready."""
    if isinstance(error, kafka.KafkaError):
        return bool(error.retriable)
    return isinstance(error, (OSError, asyncio.TimeoutError))


def told(error: Exception) -> str:
    """What is wrong, for people, without secrets."""
    text = redacted(str(error.args[0])) if error.args else ""
    name = type(error).__name__.removesuffix("Error")
    return f"{name}: {text}" if text else name
