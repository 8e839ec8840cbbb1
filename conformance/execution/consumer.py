"""A consumer: one member of a group, through all its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import msgspec

from eventproof.adapters.errors import Indeterminate, Rejected, SessionLost
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import Broker, Delivery, Subscription
from eventproof.conformance.events import call_of
from eventproof.conformance.execution.life import Life
from eventproof.conformance.execution.run import Run
from eventproof.conformance.scenario import Act, Consumer, Fault

AT_ONCE = frozenset({"ack", "nack", "reject", "twice"})


class Member:
    """Joins, handles, leaves and joins again as planned, until it is stopped.

    In the drain it finishes what is there: it nacks and rejects as planned, and acks the rest. One that
    faults will befall has a body of its own: what is done by it waits while that is frozen, and ends with it.
    """

    def __init__(
        self,
        run: Run,
        group: int,
        process: str,
        plan: Consumer,
        *,
        draining: bool = False,
        mortal: bool = False,
    ) -> None:
        self.run = run
        self.group = group
        self.process = process
        self.plan = plan
        self.draining = draining
        self.mortal = mortal
        self.joined = asyncio.Event()
        self._stopping = False
        self._waiting = False
        self._pause: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._life: Life | None = None

    @property
    def joins_first(self) -> bool:
        """Whether it is in its group before anything is published."""
        return not (self.plan.joins or self.plan.conflicting)

    def start(self) -> asyncio.Task[None]:
        self._task = asyncio.ensure_future(self.run.guarded(self.process, self._work))
        return self._task

    def stop(self) -> None:
        """Leave once what is being handled at this moment is done."""
        self._stopping = True
        if self._waiting and self._task is not None:
            self._task.cancel()

    async def handled(self) -> None:
        """Wait until no slow handler is at work."""
        while self._handlers:
            await asyncio.wait(self._handlers)

    def abort(self) -> None:
        """Give up whatever is still at work."""
        self._stopping = True  # a cancellation that meets the end of a call is lost before Python 3.12
        for task in (*self._handlers, *((self._task,) if self._task else ())):
            task.cancel()

    def strike(self, fault: Fault) -> None:
        """Let the fault befall its body, if that is alive and awake."""
        if self._life is not None:
            self._life.strike(fault)

    async def _work(self) -> None:
        try:
            await self.run.invoked(self.plan.joins)
            if self.plan.conflicting:  # there must be a group to contradict
                self._waiting = True
                await self.run.joined[self.group].wait()
                self._waiting = False
            if self.mortal:
                while not self._stopping and await self._live():
                    self._handlers.clear()
            else:
                async with self.run.connection() as broker:
                    await self._sessions(broker)
        finally:
            self.joined.set()

    async def _sessions(self, broker: Broker) -> None:
        while not self._stopping and await self._session(broker):  # noqa: ASYNC110 - a planned pause
            await asyncio.sleep((self._pause or 0) * self.run.site.tick)

    async def _live(self) -> bool:
        """One life of its body; whether another one follows."""
        run = self.run
        assert run.site.spawn is not None
        await run.weather.calm()
        async with AsyncExitStack() as stack:
            participant = await run.reached(stack, run.site.spawn)
            self._life = life = Life(self.process, participant.body, run)
            try:
                await life.spend(self._sessions(participant.broker), self._handlers)
            finally:
                self._life = None
        if life.again is None:
            return False
        await asyncio.sleep(life.again * run.site.tick)
        return True

    @property
    def _dead(self) -> bool:
        return self._life is not None and self._life.dead

    async def _awake(self) -> None:
        """Wait while the body stands still."""
        if self._life is not None:
            await self._life.awake()

    async def _session(self, broker: Broker) -> bool:
        """One session; whether another one follows."""
        run, group = self.run, self.group
        session, policy = run.record.session(), self._policy()
        topic, name = run.topics[run.scenario.groups[group].topic], run.groups[group]
        run.record(
            "subscribe.invoke", process=self.process, session=session, topic=topic, group=name,
            reason="conflict" if self.plan.conflicting else "",
        )  # fmt: skip
        async with AsyncExitStack() as stack:
            try:
                subscription = await stack.enter_async_context(
                    broker.subscribe(topic, group=name, policy=policy)
                )
            except Rejected as refusal:
                run.record("subscribe.rejected", session=session, reason=refusal.kind, error=refusal.detail)
                return False
            except Indeterminate as doubt:
                run.record("subscribe.indeterminate", session=session, error=str(doubt))
                return run.weather.strikes > 0 and not self._dead
            run.record("subscribe.ok", session=session)
            self.joined.set()
            run.joined[group].set()
            return await self._receive(subscription, session)

    def _policy(self) -> Policy:
        policy = self.run.policies[self.group]
        if not self.plan.conflicting:
            return policy
        return msgspec.structs.replace(policy, ack_timeout=policy.ack_timeout * 2)

    async def _receive(self, subscription: Subscription, session: int) -> bool:
        """Handle deliveries until it is time to leave; whether another session follows."""
        again, end = False, "session.closed"
        try:
            while not (self._stopping or again):
                again = not await self._handle(await self._next(subscription, session), session)
        except SessionLost:
            again, end = True, "session.lost"
        except StopAsyncIteration:
            end = "session.ended"
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:  # a foreign error ends the session too: others may have what it held
            if not self._dead:
                self.run.record(end, session=session)
        return again and not self._stopping and not self._dead

    async def _next(self, subscription: Subscription, session: int) -> Delivery:
        await self._awake()
        self.run.record("next.invoke", session=session)
        self._waiting = True
        try:
            return await subscription.__anext__()
        finally:
            self._waiting = False

    async def _handle(self, delivery: Delivery, session: int) -> bool:
        """Do with a delivery as planned; False to leave."""
        number, call = self._record(delivery, session)
        await self._awake()
        if self._dead:
            return False
        act = self.run.act(self.group, call)
        if self.draining and act.do not in AT_ONCE:
            act = Act()
        if act.do == "leave":
            self._pause = act.ticks
            return False
        if act.do in AT_ONCE:
            await self._at_once(delivery, number, act, call)
        elif self.plan.sequential:
            await self._slowly(delivery, number, act)
        else:
            work = partial(self._slowly, delivery, number, act)
            handler = asyncio.ensure_future(self.run.guarded(self.process, work))
            self._handlers.add(handler)
            handler.add_done_callback(self._handlers.discard)
        return True

    def _record(self, delivery: Delivery, session: int) -> tuple[int, int]:
        run, event = self.run, delivery.event
        number, call = run.record.delivery(), call_of(event)
        run.record(
            "deliver",
            process=self.process, session=session, group=run.groups[self.group],
            topic=run.topics[run.scenario.groups[self.group].topic], delivery=number, call=call,
            event=event.identity, type=event.type, key=event.key or "", attempt=delivery.attempt,
            partition=-1 if delivery.partition is None else delivery.partition,
            position=delivery.position or "", digest=run.digest(event),
        )  # fmt: skip
        return number, call

    async def _at_once(self, delivery: Delivery, number: int, act: Act, call: int) -> None:
        if act.do == "nack":
            await self._nack(delivery, number, act.ticks)
        elif act.do == "reject":
            await self._reject(delivery, number)
        else:
            if await self._ack(delivery, number):
                self.run.settled(self.group, call)
            if act.do == "twice":
                await self._ack(delivery, number)
                await self._nack(delivery, number, None)

    async def _slowly(self, delivery: Delivery, number: int, act: Act) -> None:
        """Work for a while. The watcher records when the lease is lost; the late ack must then be refused."""
        watcher = asyncio.ensure_future(self._watch(delivery, number))
        try:
            if act.do == "abandon":
                await watcher
                return
            await self._work_for(delivery, number, act)
            await self._ack(delivery, number)
        finally:
            watcher.cancel()

    async def _work_for(self, delivery: Delivery, number: int, act: Act) -> None:
        left = (act.ticks or 0) * self.run.site.tick
        step = self.run.policies[self.group].ack_timeout / 2 if act.do == "extend" else left
        while left > 0 and not self._stopping:
            await asyncio.sleep(min(step, left))
            left -= step
            if act.do == "extend" and left > 0:
                await self._settle("extend", number, delivery.extend)

    async def _watch(self, delivery: Delivery, number: int) -> None:
        await delivery.lost
        self.run.record("lease.lost", delivery=number)

    async def _ack(self, delivery: Delivery, number: int) -> bool:
        return await self._settle("ack", number, delivery.ack)

    async def _nack(self, delivery: Delivery, number: int, ticks: int | None) -> None:
        delay = None if ticks is None else ticks * self.run.site.tick
        act = partial(delivery.nack, delay=delay)
        await self._settle("nack", number, act, delay=-1.0 if delay is None else delay)

    async def _reject(self, delivery: Delivery, number: int) -> None:
        reason = f"refused by {self.process}"
        await self._settle("reject", number, partial(delivery.reject, reason), reason=reason)

    async def _settle(
        self, verb: str, number: int, act: Callable[[], Awaitable[None]], **fields: Any
    ) -> bool:
        record = self.run.record
        await self._awake()
        record(f"{verb}.invoke", delivery=number, **fields)
        try:
            await act()
        except Rejected as refusal:
            record(f"{verb}.rejected", delivery=number, reason=refusal.kind)
        except Indeterminate as doubt:
            if not self._dead:
                record(f"{verb}.indeterminate", delivery=number, error=str(doubt))
        else:
            record(f"{verb}.ok", delivery=number)
            return True
        return False
