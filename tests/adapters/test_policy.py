"""The policy of a group: what it refuses, how long it waits, what it wants."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from eventproof.adapters.policy import Policy


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"max_attempts": 3}, "dead_letter"),
        ({"max_attempts": 0, "dead_letter": "dead"}, "max_attempts"),
        ({"ack_timeout": 0}, "ack_timeout"),
        ({"ack_timeout": -1}, "ack_timeout"),
        ({"ack_timeout": float("inf")}, "finite"),
        ({"ack_timeout": float("nan")}, "finite"),
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"backoff": (1, -1)}, "backoff"),
        ({"backoff": (float("nan"),)}, "finite"),
    ],
)
def test_what_no_broker_could_keep_is_refused(values: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Policy(**values)


def test_the_least_that_a_broker_could_keep() -> None:
    Policy(max_attempts=1, dead_letter="dead", ack_timeout=0.001, max_in_flight=1, backoff=(0,))
    Policy(dead_letter="dead")  # for rejects alone


def test_a_change_of_a_policy_is_checked_too() -> None:
    with pytest.raises(ValueError, match="max_in_flight"):
        msgspec.structs.replace(Policy(), max_in_flight=0)


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [((0.1, 1, 10), [0.1, 1, 10, 10, 10]), ((5,), [5, 5, 5, 5, 5]), ((), [0, 0, 0, 0, 0])],
)
def test_red_002_the_back_off_goes_by_the_failed_attempt(
    backoff: tuple[float, ...], delays: list[float]
) -> None:
    policy = Policy(backoff=backoff)
    assert [policy.delay_after(attempt) for attempt in range(1, 6)] == delays


@pytest.mark.parametrize(
    ("pattern", "wanted", "unwanted"),
    [
        ("shop.order.paid.v1", ["shop.order.paid.v1"], ["shop.order.paid.v10", "shop.order.paid", ""]),
        (
            "shop.order.*",
            ["shop.order.paid", "shop.order.paid.v1", "shop.order."],
            ["shop.order", "shop.orders.paid", "a.shop.order.paid"],
        ),
        ("shop*", ["shop*"], ["shop", "shop.order", "shopping"]),
        ("*", ["*"], ["shop"]),
    ],
)
def test_dlv_002_a_filter_matches_exactly_or_below_a_dot(
    pattern: str, wanted: list[str], unwanted: list[str]
) -> None:
    policy = Policy(types=(pattern,))
    assert [kind for kind in (*wanted, *unwanted) if policy.wants(kind)] == wanted


def test_dlv_002_several_filters_add_up_and_none_means_all() -> None:
    assert [kind for kind in ("a", "b.c", "b") if Policy(types=("a", "b.*")).wants(kind)] == ["a", "b.c"]
    assert Policy().wants("anything")


def test_a_policy_is_a_frozen_value_with_a_closed_json_form() -> None:
    policy = Policy(max_attempts=3, dead_letter="dead", types=("a.*",), start="latest")
    again = msgspec.json.decode(msgspec.json.encode(policy), type=Policy)
    assert (again, hash(again)) == (policy, hash(policy))
    with pytest.raises(AttributeError):
        policy.max_in_flight = 1  # type: ignore[misc]
    for text in (b'{"maxAttempts": 3}', b'{"max_attempts": 3}', b'{"start": "middle"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(text, type=Policy)
