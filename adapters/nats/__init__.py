"""The NATS JetStream adapter."""

from eventproof.adapters.nats.broker import JetStreamBroker, connect
from eventproof.adapters.nats.options import Options
from eventproof.adapters.nats.provision import Topic, provision, remove

__all__ = ["JetStreamBroker", "Options", "Topic", "connect", "provision", "remove"]
