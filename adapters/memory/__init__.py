"""The in-memory adapter: the reference semantics of the protocol, complete, in one process."""

from eventproof.adapters.memory.broker import MemoryBroker, connect, engine_at
from eventproof.adapters.memory.engine import Engine
from eventproof.adapters.memory.state import Options

__all__ = ["Engine", "MemoryBroker", "Options", "connect", "engine_at"]
