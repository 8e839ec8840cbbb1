"""One scenario on one broker: what its participants share while it runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Literal, TypeVar

import msgspec

from eventproof.adapters import clock
from eventproof.adapters.claims import Claims
from eventproof.adapters.errors import EventproofError, Indeterminate, Rejected
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Broker
from eventproof.conformance.events import digest_of, event_of
from eventproof.conformance.execution.limits import Pace, Turns
from eventproof.conformance.execution.participant import Participant
from eventproof.conformance.execution.weather import Weather
from eventproof.conformance.foreign import ForeignError, foreign
from eventproof.conformance.history.recorder import NANOSECONDS, Recorder
from eventproof.conformance.scenario import Act, Group, Payload, Publish, Scenario
from eventproof.conformance.targets.facilities import Facilities
from eventproof.schemas.event import Event

Outcome = Literal["ok", "rejected", "indeterminate"]
SLACK = 0.1  # seconds within which a judgement by time is void
STALLED = NANOSECONDS  # so long a stall of this process may cost it a connection
Reached = TypeVar("Reached")


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where scenarios run. connect: opens one participant's connection. claims: what is judged. offered: what
    the adapter claims by itself. within: seconds after which a confirmed event that was not delivered
    counts as stuck. pace: of all publishes. group_prefix: what the names of groups begin with. spawn: opens
    the connection of one that can be killed, None if there is no way."""

    connect: Callable[[], AbstractAsyncContextManager[Broker]]
    spawn: Callable[[], AbstractAsyncContextManager[Participant]] | None = None
    claims: Claims
    offered: Claims = Claims()
    facilities: Facilities
    within: float = 30.0
    versions: Mapping[str, str] = {}
    target: str = ""
    configuration: Mapping[str, str] = {}
    pace: Pace = msgspec.field(default_factory=Pace)
    group_prefix: str = ""

    @property
    def tick(self) -> float:
        return self.facilities.tick


class Run:
    """The names, the recorder and the progress of one scenario."""

    def __init__(self, scenario: Scenario, site: Site, namespace: str, weather: Weather) -> None:
        self.scenario = scenario
        self.site = site
        self.weather = weather
        self.record = Recorder()
        self.turns = Turns(site.pace)
        self.broken = asyncio.Event()
        self.began = False
        self.topics = [f"{namespace}-t{number}" for number in range(len(scenario.topics))]
        self.groups = [f"{site.group_prefix}g{number}" for number in range(len(scenario.groups))]
        self.reader = f"{site.group_prefix}reader"
        self.dead_topics = [self._dead_topic(number, group) for number, group in enumerate(scenario.groups)]
        self.policies = [self._policy(number, group) for number, group in enumerate(scenario.groups)]
        self.acts = {(b.group, b.call): b.acts for b in scenario.behaviours}
        self.origin: dict[int, int] = {}
        self.numbers = count(max((step.call for step in scenario.publishes), default=0) + 1)
        self.joined = [asyncio.Event() for _ in self.groups]
        self.acked: set[tuple[str, int]] = set()
        self.progress = asyncio.Event()
        self.handed: Counter[tuple[int, int]] = Counter()
        self.source = f"/eventproof/{namespace}"
        self._digests: dict[int, tuple[Event, str]] = {}
        self._invoked = 0
        self._joins: list[tuple[int, asyncio.Future[None]]] = []

    async def begin(self) -> None:
        """Begin the traffic, together with the other runs that a fault of the broker is to meet."""
        self.began = True
        await self.weather.ready()

    def _dead_topic(self, number: int, group: Group) -> str | None:
        return None if group.policy.max_attempts is None else f"{self.topics[group.topic]}-g{number}-dead"

    def _policy(self, number: int, group: Group) -> Policy:
        plan, tick = group.policy, self.site.tick
        return Policy(
            ack_timeout=plan.ack_timeout * tick,
            backoff=tuple(ticks * tick for ticks in plan.backoff),
            max_attempts=plan.max_attempts,
            dead_letter=self.dead_topics[number],
            max_in_flight=plan.max_in_flight,
            types=plan.types,
            start=plan.start,
        )

    def act(self, group: int, call: int) -> Act:
        """What the group does with this hand-out of the call's event; of a repeat, as of what it repeats."""
        call = self.origin.get(call, call)
        acts = self.acts.get((group, call), ())
        nth = self.handed[group, call]
        self.handed[group, call] += 1
        return acts[nth] if nth < len(acts) else Act()

    def longest_wait(self, group: int) -> float:
        """Seconds of the longest lease or delay that an event of the group may be held by."""
        policy = self.policies[group]
        asked = (
            act.ticks or 0
            for b in self.scenario.behaviours
            if b.group == group
            for act in b.acts
            if act.do == "nack"
        )
        return max(policy.ack_timeout, *policy.backoff, max(asked, default=0) * self.site.tick)

    def digest(self, event: Event) -> str:
        """`digest_of`, remembered while the event lives: brokers in this process hand on the same value."""
        known = self._digests.get(id(event))
        if known is None:
            known = self._digests[id(event)] = (event, digest_of(event))
        return known[1]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Broker]:
        """One participant's own connection."""
        async with AsyncExitStack() as stack:
            yield await self.reached(stack, self.site.connect)

    async def reached(
        self, stack: AsyncExitStack, reach: Callable[[], AbstractAsyncContextManager[Reached]]
    ) -> Reached:
        """Enter what connects to the broker; again if a fault of the broker kept it from coming about."""
        reached: Reached | None = None
        while reached is None:
            reached = await self.weather.told(lambda: self._in_time(stack, reach))
        return reached

    async def _in_time(
        self, stack: AsyncExitStack, reach: Callable[[], AbstractAsyncContextManager[Reached]]
    ) -> Reached | None:
        """None if this process stood still meanwhile: that it took too long says nothing of the broker."""
        before = self.record.stalled
        try:
            return await stack.enter_async_context(reach())
        except EventproofError:
            if self.record.stalled - before < STALLED:
                raise
            return None

    @property
    def claims(self) -> Claims:
        return self.site.claims

    def held(self) -> float:
        """Seconds in which the pace held publishes up."""
        return self.turns.held

    def settled(self, group: int, call: int) -> None:
        """A group has acked a call's event."""
        self.acked.add((self.groups[group], call))
        self.progress.set()

    async def guarded(self, process: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run one participant. Whatever leaves an adapter where the port has no place for it breaks ADP-001
        and ends the scenario."""
        try:
            with foreign(process):
                await work()
        except ForeignError as error:
            self.record("adapter.error", process=process, error=error.trace)
            self._break()
        except EventproofError as error:
            self.record("adapter.error", process=process, reason="port", error=repr(error))
            self._break()

    def _break(self) -> None:
        self.broken.set()
        self.progress.set()

    async def publish_until_known(self, broker: Broker, process: str, step: Publish) -> None:
        """A publish call; while the outcome is in doubt, further ones of the event, as many as planned."""
        outcome, origin = await self.publish(broker, process, step), step.call
        for _ in range(step.repeats):
            if outcome != "indeterminate" or self.broken.is_set():
                return
            await self.weather.calm()
            step = msgspec.structs.replace(step, call=next(self.numbers))
            self.origin[step.call] = origin
            outcome = await self.publish(broker, process, step)

    async def publish(self, broker: Broker, process: str, step: Publish, *, probe: bool = False) -> Outcome:
        """One publish call, recorded, once it is its turn, and its outcome."""
        await self.turns.wait()
        event, expires = self._event(step, Payload() if probe else self.scenario.payloads[step.payload])
        call = step.call
        self.record(
            "publish.invoke",
            process=process, topic=self.topics[step.topic], call=call, event=event.identity, type=event.type,
            key=event.key or "", digest=self.digest(event), expires=expires,
        )  # fmt: skip
        if probe:
            self.record("probe", call=call)
        self._count_invoke()
        try:
            receipt = await broker.publish(self.topics[step.topic], event)
        except Rejected as refusal:
            self.record("publish.rejected", call=call, reason=refusal.kind, error=refusal.detail)
            return "rejected"
        except Indeterminate as doubt:
            self.record("publish.indeterminate", call=call, error=str(doubt))
            return "indeterminate"
        self.record(
            "publish.ok",
            call=call, position=receipt.position or "", duplicate=receipt.duplicate,
            partition=-1 if receipt.partition is None else receipt.partition,
        )  # fmt: skip
        return "ok"

    def _event(self, step: Publish, payload: Payload) -> tuple[Event, int]:
        time, expiry, expires = clock.now(), None, 0
        if step.expires is not None:
            life = step.expires * self.site.tick
            expiry = time + timedelta(seconds=life)
            expires = self.record.nanoseconds() + int(life * NANOSECONDS)
        limit = self.site.facilities.max_payload
        return event_of(step, payload, source=self.source, time=time, limit=limit, expires=expiry), expires

    def _count_invoke(self) -> None:
        self._invoked += 1
        due = [future for threshold, future in self._joins if threshold <= self._invoked]
        if due:
            self._joins = [
                (threshold, future) for threshold, future in self._joins if threshold > self._invoked
            ]
            self._release(due)

    async def invoked(self, threshold: int) -> None:
        """Wait until so many publish calls were invoked."""
        if self._invoked < threshold:
            future = asyncio.get_running_loop().create_future()
            self._joins.append((threshold, future))
            await future

    def release_joins(self) -> None:
        """No more publish calls come: let everybody join."""
        self._release([future for _, future in self._joins])
        self._joins = []

    def _release(self, futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)


async def wait_for_all(
    work: Iterable[Awaitable[object]], seconds: float, held: Callable[[], float] = lambda: 0.0
) -> None:
    """Wait until all of it is done; what is not within so many seconds is cancelled. held: seconds so far
    that do not count."""
    tasks = [asyncio.ensure_future(one) for one in work]
    loop, late = asyncio.get_running_loop(), set(tasks)
    deadline = loop.time() + seconds - held()
    try:
        while late:
            _, late = await asyncio.wait(late, timeout=max(deadline + held() - loop.time(), 0))
            if deadline + held() <= loop.time():
                break
    finally:
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
