"""A real server for the drivers of NATS."""

from tests.adapters.nats.conftest import nats, nats_server

__all__ = ["nats", "nats_server"]
