from __future__ import annotations

import pytest

import eventproof.spec
from eventproof.spec import Requirement, UnknownRequirement, requirement, requirements


def test_a_requirement_is_found_by_its_id() -> None:
    one = requirement("ORD-003")
    assert isinstance(one, Requirement)
    assert (one.title, one.level, one.anchor) == ("Key order", "MUST", "ordering.md#ORD-003")
    assert one in requirements


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(UnknownRequirement, match=r"no requirement 'ORD-999': spec/README.md") as caught:
        requirement("ORD-999")
    assert isinstance(caught.value, KeyError)
    assert caught.value.name == "ORD-999"


def test_an_unknown_attribute_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="requirement_list"):
        _ = eventproof.spec.requirement_list


def test_requirements_are_frozen() -> None:
    with pytest.raises(AttributeError):
        requirement("ORD-003").title = "Other"


@pytest.mark.parametrize(
    ("claims", "binding"),
    [
        ({"loss": "never", "redelivery": {"nack": True}}, True),
        ({"loss": "never", "redelivery": {"nack": False}}, False),
        ({"loss": "may", "redelivery": {"nack": True}}, False),
        ({"loss": "never"}, False),
        ({}, False),
    ],
)
def test_a_requirement_applies_if_all_its_conditions_hold(claims: dict[str, object], binding: bool) -> None:
    assert requirement("RED-001").applies(claims) is binding


@pytest.mark.parametrize(
    ("messages", "binding"),
    [
        ((), False),
        (("consumer-loss",), False),
        (("consumer-loss", "broker-kill"), True),
        (["power-loss"], True),
    ],
)
def test_a_list_of_faults_has_each_of_them_as_a_value(messages: object, binding: bool) -> None:
    claims = {"loss": "never", "survives": {"messages": messages}}
    assert requirement("DUR-004").applies(claims) is binding


def test_a_requirement_without_conditions_always_applies() -> None:
    assert requirement("PUB-001").applies({})


def test_mandatory_is_what_is_active_and_must() -> None:
    assert requirement("ORD-003").mandatory
    assert requirement("ORD-005").mandatory
