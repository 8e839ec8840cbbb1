"""The errors of the port: which is which, and what they carry."""

from __future__ import annotations

import inspect
import pickle

import pytest

from eventproof.adapters import connect, errors
from eventproof.adapters.errors import (
    AlreadySettled,
    EventproofError,
    Indeterminate,
    InvalidOption,
    LeaseExpired,
    Rejected,
    Unsupported,
)

OURS = [kind for kind in vars(errors).values() if inspect.isclass(kind)]


def test_every_error_is_ours() -> None:
    assert all(issubclass(kind, EventproofError) for kind in (*OURS, connect.UnknownAdapter, InvalidOption))


def test_adp_004_what_is_not_known_is_no_refusal() -> None:
    refusals = {kind for kind in OURS if issubclass(kind, Rejected)}
    assert refusals == {Rejected, Unsupported, AlreadySettled, LeaseExpired}
    assert not issubclass(Indeterminate, Rejected)


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Rejected("too-large", "2 bytes"), "too-large"),
        (Unsupported("2 bytes"), "unsupported"),
        (AlreadySettled("2 bytes"), "already-settled"),
        (LeaseExpired("2 bytes"), "lease-expired"),
    ],
)
def test_a_refusal_has_a_kind_for_programs_and_a_sentence_for_people(refusal: Rejected, kind: str) -> None:
    assert (refusal.kind, refusal.detail, str(refusal)) == (kind, "2 bytes", f"{kind}: 2 bytes")


@pytest.mark.parametrize("refusal", [Rejected("closed"), AlreadySettled(), LeaseExpired()])
def test_a_refusal_needs_no_sentence(refusal: Rejected) -> None:
    assert str(refusal) == refusal.kind


@pytest.mark.parametrize(
    "error",
    [
        Rejected("closed", "why"),
        Unsupported("why"),
        AlreadySettled("why"),
        LeaseExpired("why"),
        Indeterminate("why"),
    ],
)
def test_errors_travel_between_processes(error: EventproofError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
