"""What a memory broker remembers: topics with their log, groups with their lanes, sessions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.policy import Policy
from eventproof.schemas.event import Event

Lane = Literal["key", "partition", "topic", "event"]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one memory broker is configured.

    lane: what waits for an unsettled event: the rest of its key, partition or topic, or nothing but
    the event itself.
    delivery: `at-most-once` settles an event as it is handed out.
    dedup: where (source, id) is recognised. window: seconds it is remembered.
    partitions, window: for topics that appear on first use. max_payload: bytes of the encoded event.
    """

    lane: Lane = "key"
    delivery: Literal["at-least-once", "at-most-once"] = "at-least-once"
    dedup: Literal["publish", "consume", "none"] = "publish"
    partitions: Annotated[int, msgspec.Meta(ge=1)] = 4
    window: Annotated[float, msgspec.Meta(ge=0)] = 120.0
    max_payload: Annotated[int, msgspec.Meta(ge=1)] = 1 << 20


class Copy(msgspec.Struct, gc=False):
    """One stored event. offset: in the topic's log. position: its name for the outside. dead: a dead letter,
    which is no call of its event and has no part in deduplication."""

    event: Event
    offset: int
    partition: int
    position: str
    dead: bool = False


class Topic:
    """A log, and the identities seen within the window."""

    def __init__(self, name: str, partitions: int, window: float) -> None:
        self.name = name
        self.partitions = partitions
        self.window = window
        self.log: list[Copy] = []
        self.seen: dict[str, tuple[float, Copy]] = {}
        self.groups: dict[str, Group] = {}


class Slot:
    """One copy on its way through one group. token: names the present hand-out, 0 when there is none."""

    __slots__ = ("attempt", "copy", "delivery", "lane", "session", "timer", "token")

    def __init__(self, copy: Copy, lane: SlotQueue) -> None:
        self.copy = copy
        self.lane = lane
        self.attempt = 0
        self.token = 0
        self.session: Session | None = None
        self.delivery: LeasedDelivery | None = None
        self.timer: asyncio.TimerHandle | None = None


class SlotQueue:
    """A lane: its head alone may be out, or held back."""

    __slots__ = ("name", "slots")

    def __init__(self, name: object) -> None:
        self.name = name
        self.slots: deque[Slot] = deque()


class Group:
    """A consumer group: outlives its sessions."""

    def __init__(self, name: str, topic: Topic, policy: Policy, cursor: int) -> None:
        self.name = name
        self.topic = topic
        self.policy = policy
        self.cursor = cursor
        self.lanes: dict[object, SlotQueue] = {}
        self.ready: deque[SlotQueue] = deque()
        self.waiting: dict[asyncio.Future[None], Session] = {}
        self.settled: dict[str, float] = {}
        self.tokens = 0

    def unsettled(self) -> Iterator[Slot]:
        """Every copy that was admitted and is not settled."""
        for lane in self.lanes.values():
            yield from lane.slots


class Line:
    """One participant's connection, as the broker sees it. cut: the participant is gone without a word."""

    __slots__ = ("cut",)

    def __init__(self) -> None:
        self.cut = False


class Session:
    """One member of a group. held: what it has not settled yet. line: of its participant."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.line = Line()
        self.held: set[Slot] = set()
        self.open = True
