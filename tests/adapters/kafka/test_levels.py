"""spec/levels.md says of Kafka what its adapter claims."""

from __future__ import annotations

import pytest

from eventproof.adapters.kafka.claims import claims
from eventproof.adapters.kafka.content import HEADROOM
from eventproof.adapters.kafka.options import Options
from tests.adapters.nats.test_levels import cells, differing, surviving, without

COLUMN = 3
SURVIVES = 2
CLAIMED = claims(60_000, Options().window)


def test_the_column_says_what_the_adapter_claims() -> None:
    assert list(differing(cells(COLUMN), CLAIMED)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("isolation", "partition"),
        ("sharing", "events"),
        ("dead_letter", "one-without-faults"),
        ("consume_dedup", {"scope": "key", "window": 60.0}),
        ("publish_dedup", {"scope": "topic", "window": None}),
        ("idempotent_publish", False),
    ],
)
def test_another_claim_is_seen(path: str, value: object) -> None:
    assert path in list(differing(cells(COLUMN), without(path, value)(CLAIMED)))


def test_what_survives_is_what_is_claimed() -> None:
    assert list(surviving(SURVIVES, CLAIMED)) == []
    other = without("survives.delays", ["consumer-loss"])(CLAIMED)
    assert list(surviving(SURVIVES, other)) == ["broker-kill"]


def test_the_largest_event_is_what_the_adapter_keeps_free() -> None:
    assert cells(COLUMN)["flow.max_payload"].startswith(f"`message.max.bytes` less {HEADROOM:,}.")
