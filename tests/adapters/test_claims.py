"""Claims are data: closed, frozen, and nothing is claimed by default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from eventproof.adapters.claims import Attempts, Claims, Deduplication, Ordering, Survives
from eventproof.adapters.kafka import options as kafka_options
from eventproof.adapters.kafka.claims import claims as kafka_claims
from eventproof.adapters.memory.claims import claims
from eventproof.adapters.memory.state import Options
from eventproof.adapters.nats.claims import claims as nats_claims
from eventproof.spec.__main__ import HERE
from eventproof.spec.parse import document, read, table
from eventproof.spec.vocabulary import vocabulary

NOTHING = {
    "may", "any", "none", "sent", "partitions", "first-delivery", "confirmed", "present", False, None, (),
}  # fmt: skip


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from leaves(getattr(value, field))
    else:
        yield value


def test_the_default_claims_nothing() -> None:
    within = Claims().redelivery.within  # seconds: no claim without a kind of redelivery
    assert {leaf for leaf in leaves(Claims()) if leaf != within} <= NOTHING


@pytest.mark.parametrize(
    "value",
    [
        Claims(),
        claims(Options()),
        claims(Options(delivery="at-most-once", dedup="none")),
        Claims(
            ordering=Ordering(scope="topic", strictness="settled", publish="pipelined", agreement="groups"),
            attempts=Attempts(never_low=True),
            publish_dedup=Deduplication(scope="key", window=2.5),
            survives=Survives(messages=("consumer-loss", "broker-kill")),
        ),
    ],
)
def test_claims_have_a_json_form(value: Claims) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=Claims) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"loss": "sometimes"}',
        b'{"exactly_once": true}',
        b'{"ordering": {"scope": "partition"}}',
        b'{"ordering": {"range": "key"}}',
        b'{"survives": {"messages": ["meteorite"]}}',
        b'{"expiry": "yes"}',
    ],
)
def test_what_is_no_claim_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Claims)


def test_claims_do_not_change() -> None:
    value = Claims()
    with pytest.raises(AttributeError):
        value.loss = "never"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        value.ordering.scope = "key"  # type: ignore[misc]
    assert hash(value) == hash(Claims())


# No adapter of ours claims less than it once did, or than its document says.

GRADES = vocabulary(read(HERE)).claims
BOUND: Mapping[str, Claims] = {
    "nats": nats_claims(60_000),
    "kafka": kafka_claims(60_000, kafka_options.Options().window),
}
MEMORY = {
    "loss": "never", "duplicates": "permitted", "ordering.scope": "key", "ordering.strictness": "settled",
    "ordering.publish": "pipelined", "groups": "durable", "isolation": "key", "ack": "confirmed",
    "fencing": "broker", "redelivery.nack": "true", "redelivery.lease_end": "true",
    "redelivery.consumer_loss": "true", "backoff": "durable", "attempts.never_low": "true",
    "attempts.never_high": "true", "dead_letter": "one-across-crash", "idempotent_publish": "true",
    "positions": "true", "publish_dedup.scope": "topic", "replay": "earliest", "expiry": "true",
    "flow.max_in_flight": "true",
    **dict.fromkeys(
        [f"survives.{state}" for state in ("messages", "acks", "attempts", "delays", "dedup")],
        "consumer-loss broker-kill",
    ),
}  # fmt: skip


def written(value: Claims) -> Mapping[str, Any]:
    """Claims by path, in their JSON form."""

    def flat(fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, one in fields.items():
            if isinstance(one, dict):
                yield from flat(one, f"{prefix}{name}.")
            else:
                yield prefix + name, one

    return dict(flat(msgspec.to_builtins(value), ""))


def below(path: str, floor: str, claimed: Any) -> bool:
    """Whether a claim is less than its floor: a lower grade, a fault missing, or another time or size."""
    if path.startswith("survives."):
        return not set(floor.split()) <= set(claimed)
    if path == "redelivery.within":
        return claimed > float(floor)
    if not GRADES[path]:
        return claimed is not None and claimed < float(floor)
    said = str(claimed).lower() if isinstance(claimed, bool) else claimed
    return GRADES[path].index(said) < GRADES[path].index(floor)


def fallen(floors: Mapping[str, str], value: Claims) -> set[str]:
    found = written(value)
    return {path for path, floor in floors.items() if floor and below(path, floor, found[path])}


def column(broker: str, number: int) -> dict[str, str]:
    """A column of a binding's table of claims, by path."""
    name = f"bindings/{broker}.md"
    rows = table(document(name, (HERE / name).read_text(encoding="utf-8")), "Claims")
    return {row[0].strip("`"): " ".join(re.findall("`([^`]*)`", row[number])) for row in rows}


def test_memory_claims_all_that_it_can_mean() -> None:
    assert not fallen(MEMORY, claims(Options()))


@pytest.mark.parametrize("broker", BOUND)
def test_an_adapter_claims_no_less_than_its_floor(broker: str) -> None:
    floors = column(broker, 1)
    assert set(floors) == set(GRADES)
    assert not fallen(floors, BOUND[broker])


@pytest.mark.parametrize("broker", BOUND)
def test_an_adapter_claims_what_its_document_says(broker: str) -> None:
    found = written(BOUND[broker])
    for path, claim in column(broker, 2).items():
        if path.startswith("survives."):
            assert list(found[path]) == claim.split(), path
        elif GRADES[path]:
            assert str(found[path]).lower() == claim, path
        elif path != "flow.max_payload":
            assert found[path] == (float(claim) if claim else None), path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("loss", "may"),
        ("ordering.strictness", "first-delivery"),
        ("isolation", "topic"),
        ("redelivery.within", 10.5),
        ("publish_dedup.window", 60.0),
        ("survives.messages", ["consumer-loss"]),
        ("attempts.never_low", False),
    ],
)
def test_a_claim_below_its_floor_is_seen(path: str, value: Any) -> None:
    fields = msgspec.to_builtins(BOUND["nats"])
    *parents, name = path.split(".")
    inner = fields[parents[0]] if parents else fields
    inner[name] = value
    assert fallen(column("nats", 1), msgspec.convert(fields, Claims)) == {path}
