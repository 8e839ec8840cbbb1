"""The memory adapter, with a library around it that says things on standard output."""

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import asynccontextmanager

from eventproof import Indeterminate, Rejected, SessionLost, Unsupported
from eventproof.adapters import memory

sys.stdout.write("imported\n")


def a_child():
    subprocess.run([sys.executable, "-S", "-c", "print('a child')"], check=True)


class Says:
    """What it does with an event, the id of the event says."""

    def __init__(self, broker):
        self.broker = broker
        self.claims = broker.claims

    async def publish(self, topic, event):
        sys.stdout.write(f"publishing {event.id}\n")
        os.write(1, b"a library in C\n")
        a_child()
        if event.id in RAISED:
            raise RAISED[event.id]
        return await self.broker.publish(topic, event)

    def subscribe(self, topic, *, group, policy):
        if group in RAISED:
            raise RAISED[group]
        return self.broker.subscribe(topic, group=group, policy=policy)


RAISED = {
    "rejected": Rejected("too-large", "by far"),
    "unsupported": Unsupported("not here"),
    "indeterminate": Indeterminate("no answer"),
    "other": ValueError("somebody else's"),
    "misplaced": SessionLost("not of a publish"),
}


@asynccontextmanager
async def connect(url, *, block=False, **options):
    sys.stdout.write("connecting\n")
    if block:  # the event loop, once it has answered
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, threading.Event().wait)
    async with memory.connect(url, **options) as broker:
        yield Says(broker)
