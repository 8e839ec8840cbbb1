"""Eventproof: one protocol for event-driven services, and proof of which brokers keep it."""

from eventproof.adapters.claims import Claims
from eventproof.adapters.connect import connect
from eventproof.adapters.errors import (
    AlreadySettled,
    EventproofError,
    Indeterminate,
    LeaseExpired,
    Rejected,
    SessionLost,
    Unsupported,
)
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Broker, Delivery, Receipt, Subscription
from eventproof.schemas.event import Event

__all__ = [
    "AlreadySettled",
    "Broker",
    "Claims",
    "Delivery",
    "Event",
    "EventproofError",
    "Indeterminate",
    "LeaseExpired",
    "Policy",
    "Receipt",
    "Rejected",
    "SessionLost",
    "Subscription",
    "Unsupported",
    "connect",
]
