"""The core NATS adapter: at most once, without JetStream."""

from eventproof.adapters.nats.core.broker import CoreBroker, connect

__all__ = ["CoreBroker", "connect"]
