"""A scenario's JSON form, and what is refused as no scenario."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Fault,
    InvalidScenario,
    Payload,
    Policy,
    Scenario,
    decode,
    encode,
    inconsistencies,
)
from eventproof.conformance.strategies import PAYLOADS, scenarios
from eventproof.spec import requirements

FULL: dict[str, Any] = {
    "payloads": [{"kind": "json", "json": {"a": None}}],
    "publishers": [[{"call": 1, "event": 1}, {"call": 2, "event": 1, "after": 3}]],
    "groups": [{"policy": {"types": ["a.*"]}, "consumers": [{"joins": 1}]}],
    "behaviours": [{"group": 0, "call": 2, "acts": [{"do": "nack", "ticks": 2}]}],
    "faults": [
        {"do": "restart", "after": "publish.ok", "count": 2, "turns": 1},
        {"do": "freeze", "group": 0, "consumer": 0, "ticks": 12},
    ],
}


def changed(path: str, value: Any) -> bytes:
    """The full document with one place of it set to another value."""
    document: Any = msgspec.json.decode(msgspec.json.encode(FULL))
    *parents, leaf = [int(name) if name.isdigit() else name for name in path.split(".")]
    place = document
    for name in parents:
        place = place[name]
    place[leaf] = value
    return msgspec.json.encode(document)


def refusal(document: bytes) -> str:
    with pytest.raises(InvalidScenario) as refused:
        decode(document)
    return str(refused.value)


@settings(max_examples=60, deadline=None)
@given(scenarios())
def test_the_json_form_gives_back_the_same_scenario(drawn: Scenario) -> None:
    assert decode(encode(drawn)) == drawn
    assert not inconsistencies(drawn)


@settings(max_examples=60, deadline=None)
@given(scenarios(faults=True))
def test_the_json_form_gives_back_the_same_faults(drawn: Scenario) -> None:
    assert drawn.faults
    assert decode(encode(drawn)) == drawn
    assert not inconsistencies(drawn)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_json_form_keeps_every_payload_apart(payload: Payload) -> None:
    again = decode(encode(Scenario(payloads=(payload,)))).payloads[0]
    assert again == payload
    assert type(again.json) is type(payload.json)


def test_defaults_are_left_out_of_the_json_form_and_come_back() -> None:
    assert msgspec.json.decode(encode(Scenario())) == {"format": 1}
    assert decode(b'{"format":1}') == Scenario()


def test_a_scenario_that_uses_every_part_is_read() -> None:
    read = decode(msgspec.json.encode(FULL))
    assert [step.call for step in read.publishes] == [1, 2]
    assert read.groups[0].policy == Policy(types=("a.*",))
    assert read.behaviours == (Behaviour(group=0, call=2, acts=(Act(do="nack", ticks=2),)),)
    of_broker, of_consumer = read.faults
    assert of_broker == Fault(do="restart", after="publish.ok", count=2, turns=1)
    assert of_consumer == Fault(do="freeze", group=0, consumer=0, ticks=12)
    assert read.broker_faults == (of_broker,)


def test_operations_count_publishes_acts_late_joins_and_faults() -> None:
    assert Scenario().operations == 0
    assert decode(msgspec.json.encode(FULL)).operations == 6


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (Fault(), "broker-kill"),
        (Fault(do="freeze"), "broker-pause"),
        (Fault(do="restart"), "broker-restart"),
        (Fault(group=0), "consumer-loss"),
        (Fault(do="freeze", group=0), "consumer-pause"),
    ],
)
def test_a_fault_is_called_as_in_the_requirements(fault: Fault, name: str) -> None:
    assert fault.name == name
    assert any(name in one.faults for one in requirements)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("colour", "red", "unknown field `colour`"),
        ("publishers.0.0.colour", "red", "unknown field `colour`"),
        ("groups.0.policy.dead_letter", "dead", "unknown field `dead_letter`"),
        ("groups.0.consumers.0.leaves", 1, "unknown field `leaves`"),
        ("behaviours.0.acts.0.when", 1, "unknown field `when`"),
        ("format", 2, "2"),
        ("topics", {}, "Expected `array`, got `object`"),
        ("publishers.0.0.call", "1", "Expected `int`, got `str`"),
        ("publishers.0.0.call", 1.5, "Expected `int`, got `float`"),
        ("publishers.0.0.call", 0, ">= 1"),
        ("publishers.0.0.after", -1, ">= 0"),
        ("publishers.0.0.pipelined", 1, "Expected `bool`, got `int`"),
        ("groups.0.policy.start", "yesterday", "yesterday"),
        ("groups.0.policy.ack_timeout", 0, ">= 1"),
        ("behaviours.0.acts.0.do", "explode", "explode"),
        ("payloads.0.kind", "xml", "xml"),
        ("faults.0.do", "explode", "explode"),
        ("faults.0.after", "subscribe.ok", "subscribe.ok"),
        ("faults.0.count", 0, ">= 1"),
        ("faults.0.turns", -1, ">= 0"),
        ("faults.1.ticks", -1, ">= 0"),
        ("faults.1.group", -1, ">= 0"),
        ("faults.1.process", "c0", "unknown field `process`"),
    ],
)
def test_what_the_format_does_not_have_is_refused_with_its_place(path: str, value: Any, says: str) -> None:
    message = refusal(changed(path, value))
    assert message.startswith("not a scenario: ")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("publishers.0.0.topic", 1, "call 1 names topic 1 of 1"),
        ("publishers.0.1.payload", 7, "call 2 names payload 7 of 1"),
        ("publishers.0.0.type", 3, "call 1 names type 3 of 3"),
        ("publishers.0.1.call", 1, "two publish steps have the same call number"),
        ("groups.0.topic", 4, "group 0 names topic 4 of 1"),
        ("behaviours.0.group", 1, "a behaviour names group 1 of 1"),
        ("behaviours.0.call", 9, "a behaviour names call 9, which nobody makes"),
        ("topics", [], "it has no topic"),
    ],
)
def test_references_that_lead_nowhere_are_refused(path: str, value: Any, says: str) -> None:
    message = refusal(changed(path, value))
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("faults.1.group", 1, "a fault names group 1 of 1"),
        ("faults.1.consumer", 1, "a fault names consumer 1 of 1 in group 0"),
        ("faults.1.do", "restart", "a fault restarts a consumer; only the broker is restarted"),
    ],
)
def test_a_fault_that_befalls_nobody_is_refused_with_one_sentence(path: str, value: Any, says: str) -> None:
    assert refusal(changed(path, value)) == f"not a scenario: {says}"


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":1}x', b'"scenario"'])
def test_what_is_no_json_object_is_refused(document: bytes) -> None:
    assert refusal(document).startswith("not a scenario: ")


def test_json_nested_too_deeply_is_refused() -> None:
    nested = b"[" * 100_000 + b"]" * 100_000
    assert "recursion" in refusal(b'{"payloads": [{"kind": "json", "json": ' + nested + b"}]}")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_nothing_else_escapes_from_reading_any_bytes(document: bytes) -> None:
    with suppress(InvalidScenario):
        decode(document)
