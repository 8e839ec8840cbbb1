"""The Apache Kafka adapter."""

from eventproof.adapters.kafka.broker import KafkaBroker, connect
from eventproof.adapters.kafka.options import Options
from eventproof.adapters.kafka.provision import Topic, provision, remove

__all__ = ["KafkaBroker", "Options", "Topic", "connect", "provision", "remove"]
