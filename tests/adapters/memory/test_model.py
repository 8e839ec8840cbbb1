"""The engine against the naive model of `model.py`, on generated acts."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventproof.adapters.delivery import LeasedDelivery
from eventproof.adapters.errors import Indeterminate, Rejected
from eventproof.adapters.memory import engine_at
from eventproof.adapters.memory.broker import MemoryBroker
from eventproof.adapters.policy import Policy
from tests.adapters.memory.model import BACKOFF, LEASE, MOST, ROOM, WINDOW, Model
from tests.adapters.memory.world import URL, acked, event, memory
from tests.adapters.virtual import at, run

POLICY = Policy(ack_timeout=LEASE, backoff=BACKOFF, max_attempts=MOST, dead_letter="dead", max_in_flight=ROOM)
SMALL = st.integers(0, 2)
ACTS = st.one_of(
    st.tuples(st.just("publish"), st.integers(0, 6), st.sampled_from(["", "k", "l"])),
    st.tuples(st.just("take"), SMALL, st.none()),
    st.tuples(st.sampled_from(["ack", "nack", "reject", "extend"]), SMALL, st.none()),
    st.tuples(st.just("nack"), SMALL, st.sampled_from([0.5, 7.5])),
    st.tuples(st.just("pass"), st.sampled_from([1, 3, 11]), st.none()),
    st.tuples(st.sampled_from(["rejoin", "sever"]), SMALL, st.none()),
    st.tuples(st.sampled_from(["kill", "stop", "freeze"]), st.sampled_from([0, 1, 11]), st.none()),
)
PLAYS = st.integers(1, 60).flatmap(lambda size: st.lists(ACTS, min_size=size, max_size=size))


class Play:
    """Does each act to the engine and to the model, and compares."""

    def __init__(self, broker: MemoryBroker, lane: str, sessions: list[AsyncExitStack]) -> None:
        self.broker = broker
        self.lane = lane
        self.model = Model()
        self.sessions = sessions
        self.members: list[MemoryBroker] = [broker] * len(sessions)
        self.subscriptions: list[Any] = [None] * len(sessions)
        self.deliveries: list[LeasedDelivery] = []

    async def do(self, act: str, number: int, detail: Any) -> None:
        if act == "publish":
            await self.publish(str(number), detail or None)
        elif act == "take":
            await self.take(number % len(self.sessions))
        elif act == "pass":
            await asyncio.sleep(number)
            self.model.pass_time(at())
        elif act in {"rejoin", "sever"}:
            await self.lose(act, number % len(self.sessions))
        elif act in {"kill", "stop", "freeze"}:
            await self.stand_still(act, number)
        elif self.deliveries:
            await self.settle(act, max(len(self.deliveries) - 1 - number, 0), detail)
        group = engine_at(URL).topic("orders").groups["a"]
        assert engine_at(URL).counters(group) == self.model.counters

    async def join(self, session: int) -> None:
        await self.sessions[session].aclose()
        member = await self.sessions[session].enter_async_context(memory())
        subscription = member.subscribe("orders", group="a", policy=POLICY)
        self.subscriptions[session] = await self.sessions[session].enter_async_context(subscription)
        self.members[session] = member

    async def lose(self, act: str, session: int) -> None:
        if act == "sever":
            self.members[session].sever()
            self.model.sever(session)
        else:
            self.model.leave(session)
        await self.join(session)

    async def stand_still(self, act: str, seconds: float) -> None:
        engine = engine_at(URL)
        getattr(engine, act)()
        await asyncio.sleep(seconds)
        engine.revive()
        if act == "freeze":
            self.model.pass_time(at())
            return
        self.model.kill()
        self.model.pass_time(at())
        for session in range(len(self.sessions)):
            await self.join(session)

    async def publish(self, name: str, key: str | None) -> None:
        receipt = await self.broker.publish("orders", event(name, key))
        assert receipt.duplicate == self.model.is_duplicate(name, at())
        if not receipt.duplicate:
            own = receipt.position
            lanes = {"key": key or own, "partition": receipt.partition, "topic": "", "event": own}
            self.model.store(name, lanes[self.lane], at())

    async def take(self, session: int) -> None:
        waiting = asyncio.ensure_future(self.subscriptions[session].__anext__())
        await asyncio.sleep(0)
        due = self.model.due(session)
        if not waiting.done():
            waiting.cancel()
            assert due == []
            return
        delivery = waiting.result()
        entry = self.model.entries[int(delivery.position)]
        assert entry in due
        self.model.hand_out(entry, session, at())
        assert (delivery.event.id, delivery.attempt) == (entry.id, entry.attempt)
        self.deliveries.append(delivery)

    async def settle(self, verb: str, number: int, delay: float | None) -> None:
        delivery = self.deliveries[number]
        expected = self.model.settle(self.model.handed[number], verb, delay, at())
        arguments = {"nack": {"delay": delay}, "reject": {"reason": "no"}}.get(verb, {})
        outcome = ""
        try:
            await getattr(delivery, verb)(**arguments)
        except (Rejected, Indeterminate) as refusal:
            outcome = type(refusal).__name__
        assert outcome == expected

    async def finish(self) -> None:
        """Everybody leaves; what is not done comes to who joins then, and there is one dead letter for each
        that failed."""
        for session in range(len(self.sessions)):
            self.model.leave(session)
            await self.sessions[session].aclose()
        await asyncio.sleep(2 * LEASE)
        self.model.pass_time(at())
        left = [entry.id for entry in self.model.entries if entry.state != "done"]
        async with self.broker.subscribe("orders", group="a", policy=POLICY) as last:
            assert sorted(await acked(last)) == sorted(left)
        letters = [copy.event for copy in engine_at(URL).topic("dead").log]
        found = [(letter.id, letter.extensions["dlreason"]) for letter in letters]
        assert sorted(found) == sorted(self.model.dead)


async def play(lane: str, acts: list[tuple[Any, ...]]) -> None:
    sessions = [AsyncExitStack(), AsyncExitStack()]
    async with memory(lane=lane, partitions=2, window=WINDOW) as broker:
        game = Play(broker, lane, sessions)
        for session in range(len(sessions)):
            await game.join(session)
        for act in acts:
            await game.do(*act)
        await game.finish()


@settings(max_examples=200, deadline=None)
@given(lane=st.sampled_from(["key", "partition", "topic", "event"]), acts=PLAYS)
def test_the_engine_does_what_the_naive_model_does(lane: str, acts: list[tuple[Any, ...]]) -> None:
    run(play(lane, acts))
