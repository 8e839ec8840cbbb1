"""The memory broker's first half: from a publish to the lanes of each group."""

from __future__ import annotations

import asyncio
from datetime import datetime
from zlib import crc32

from eventproof.adapters.clock import now
from eventproof.adapters.errors import Rejected, Unsupported
from eventproof.adapters.memory.calls import Calls
from eventproof.adapters.memory.state import Copy, Group, Options, Session, Slot, SlotQueue, Topic
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Receipt
from eventproof.schemas.event import Event
from eventproof.schemas.structured import encode


class Intake(Calls):
    """Topics with what they store, groups with what waits in them, and the sessions of their members. Its
    clock is the running event loop's."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.topics: dict[str, Topic] = {}
        self.sessions: dict[Session, None] = {}

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return now()

    # topics

    def provision(self, name: str, *, partitions: int, window: float | None) -> None:
        """Create a topic. Raises Rejected (`conflict`) if it exists with another configuration."""
        wanted = (partitions, self.options.window if window is None else window)
        topic = self.topics.setdefault(name, Topic(name, *wanted))
        if (topic.partitions, topic.window) != wanted:
            raise Rejected("conflict", f"topic {name} exists with another configuration")

    def topic(self, name: str) -> Topic:
        """The topic, made on first use."""
        if name not in self.topics:
            self.provision(name, partitions=self.options.partitions, window=None)
        return self.topics[name]

    # publish

    def publish(self, topic: Topic, event: Event) -> Receipt:
        """Refuse, recognise or store one event."""
        self.check(event)
        original = self.recognise(topic, event)
        if original is not None:
            return Receipt(original.position, original.partition, duplicate=True)
        copy = self.store(topic, event)
        topic.seen[event.identity] = (self.time(), copy)
        return Receipt(copy.position, copy.partition, duplicate=False)

    def check(self, event: Event) -> None:
        size = len(encode(event))
        if size > self.options.max_payload:
            raise Rejected("too-large", f"{size} bytes encoded, the limit is {self.options.max_payload}")

    def recognise(self, topic: Topic, event: Event) -> Copy | None:
        """The stored copy of the same (source, id) inside the window, which a duplicate does not renew."""
        if self.options.dedup != "publish":
            return None
        stored = topic.seen.get(event.identity)
        return stored[1] if stored and self.time() - stored[0] < topic.window else None

    def store(self, topic: Topic, event: Event) -> Copy:
        partition = self.partition(topic, event)
        offset = len(topic.log)
        copy = Copy(event, offset, partition, str(offset))
        topic.log.append(copy)
        for group in topic.groups.values():
            self.admit(group)
        return copy

    def partition(self, topic: Topic, event: Event) -> int:
        return crc32((event.key or event.identity).encode()) % topic.partitions

    # groups

    def join(self, topic: Topic, name: str, policy: Policy) -> Session:
        """A new session of the group, which is made if it is new."""
        self.check_possible(policy)
        group = topic.groups.get(name)
        if group is None:
            group = topic.groups[name] = Group(name, topic, policy, self.start(topic, policy))
            self.admit(group)
        self.check_policy(group, policy)
        session = Session(group)
        self.sessions[session] = None
        return session

    def check_possible(self, policy: Policy) -> None:
        """Raises Unsupported if the broker, as it is configured, cannot keep the policy (ADP-005): a hand-out
        that settles itself never fails."""
        if self.options.delivery == "at-most-once" and policy.dead_letter is not None:
            raise Unsupported("at most once: nothing can fail, so leave max_attempts and dead_letter out")

    def check_policy(self, group: Group, policy: Policy) -> None:
        if group.policy != policy:
            raise Rejected("conflict", f"group {group.name} exists with another policy")

    def start(self, topic: Topic, policy: Policy) -> int:
        return 0 if policy.start == "earliest" else len(topic.log)

    def admit(self, group: Group) -> None:
        """Take what the log has gained into the group's lanes."""
        log = group.topic.log
        while group.cursor < len(log):
            copy = log[group.cursor]
            group.cursor += 1
            if self.wants(group, copy):
                self.enqueue(group, copy)

    def wants(self, group: Group, copy: Copy) -> bool:
        return group.policy.wants(copy.event.type)

    def enqueue(self, group: Group, copy: Copy) -> None:
        name = self.lane(copy)
        lane = group.lanes.get(name)
        if lane is None:
            lane = group.lanes[name] = SlotQueue(name)
        lane.slots.append(Slot(copy, lane))
        if len(lane.slots) == 1:
            self.make_ready(group, lane)

    def lane(self, copy: Copy) -> object:
        """What must be settled in order; an event without a key has no order."""
        kind = self.options.lane
        if kind == "partition":
            return copy.partition
        if kind == "topic":
            return None
        return (copy.event.key or copy.offset) if kind == "key" else copy.offset

    def make_ready(self, group: Group, lane: SlotQueue) -> None:
        group.ready.append(lane)
        self.wake(group)

    def wake(self, group: Group) -> None:
        """Let the session that has waited longest, of those with room, look again."""
        if not self.serves:
            return
        free = (
            waiter
            for waiter, session in group.waiting.items()
            if self.has_room(session) and not waiter.done()
        )
        waiter = next(free, None)
        if waiter is not None:
            del group.waiting[waiter]
            waiter.set_result(None)

    def dismiss(self, session: Session) -> None:
        """Let who waits in a session see that it has ended."""
        waiting = session.group.waiting
        for waiter in [waiter for waiter, of in waiting.items() if of is session]:
            del waiting[waiter]
            if not waiter.done():
                waiter.set_result(None)

    def has_room(self, session: Session) -> bool:
        return session.open and len(session.held) < session.group.policy.max_in_flight
