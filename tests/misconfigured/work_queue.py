"""Mistake: topics are work queues, which keep an event until it is acked, in the belief that the ids of the
deduplication window outlive the server all the same.

After a kill the server makes its list of ids from the messages that it still has. That of an event which was
handled is not among them, and a repeated publish is stored and handled again.
"""

from __future__ import annotations

from eventproof.adapters.nats import api, connect, naming
from eventproof.adapters.nats.provision import PARTITIONS
from eventproof.conformance.targets.nats import NatsTarget

__all__ = ["connect", "target"]

PREFIX = "eventproof"


class Target(NatsTarget):
    read_log = None  # type: ignore[assignment] # a work queue lets nobody read who does not take

    async def provision(self, topic: str, *, partitions: int, window: float | None) -> None:
        stream = naming.stream(PREFIX, topic)
        config = {
            "name": stream,
            "subjects": [f"{naming.root(PREFIX, topic)}.>"],
            "subject_transform": naming.transform(PREFIX, topic, partitions),
            "retention": "workqueue",
            "storage": "file",
            "metadata": {PARTITIONS: str(partitions)},
        }
        await api.call(self._link, f"STREAM.CREATE.{stream}", api.StreamInfo, config)


target = Target()
