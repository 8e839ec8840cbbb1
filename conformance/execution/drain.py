"""Prove that nothing more arrives: fresh consumers, a probe per key, and counters that stay idle.

A drain that cannot be proven leaves no `drained` record; then nothing counts as lost for lack of time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from eventproof.adapters.port import Broker
from eventproof.conformance.execution.consumer import Member
from eventproof.conformance.execution.deadletters import READER_LEASE, read_dead
from eventproof.conformance.execution.run import SLACK, Run, wait_for_all
from eventproof.conformance.history.recorder import NANOSECONDS
from eventproof.conformance.scenario import TYPES, Consumer, Publish

POLLS_PER_TICK = 2
MARGIN = 1.25  # the second look comes later than the longest lease by a quarter


async def drain(run: Run) -> None:
    """Settle everything that is left, probe each key, and record the proof for each group."""
    members = [
        Member(run, group, f"drain-{name}", Consumer(), draining=True)
        for group, name in enumerate(run.groups)
    ]
    tasks = [member.start() for member in members]
    letters = {topic: asyncio.Event() for topic in run.dead_topics if topic}
    readers = [
        asyncio.ensure_future(run.guarded(run.reader, partial(read_dead, run, topic, joined)))
        for topic, joined in letters.items()
    ]
    try:
        entered = (*(member.joined for member in members), *letters.values())
        await wait_for_all((one.wait() for one in entered), run.site.within)
        await _probe(run)
        await asyncio.gather(
            *(_prove(run, group) for group, joined in enumerate(run.joined) if joined.is_set())
        )
        await asyncio.gather(*(_prove_dead(run, topic) for topic, read in letters.items() if read.is_set()))
        for member in members:
            member.stop()
        await wait_for_all(tasks, run.site.within)
    finally:
        for left in (*tasks, *readers):
            left.cancel()
        await asyncio.gather(*tasks, *readers, return_exceptions=True)


def probes(run: Run) -> list[Publish]:
    """One publish per topic, used key and type that some group there needs to see."""
    scenario, found = run.scenario, []
    for topic in range(len(scenario.topics)):
        keys = {step.key for step in scenario.publishes if step.topic == topic} or {0}
        wanted = [
            run.policies[number] for number, group in enumerate(scenario.groups) if group.topic == topic
        ]
        for kind in sorted(
            {next(n for n, name in enumerate(TYPES) if policy.wants(name)) for policy in wanted}
        ):
            for key in sorted(keys):
                number = next(run.numbers)
                found.append(Publish(call=number, topic=topic, event=number, key=key, type=kind))
    return found


async def _probe(run: Run) -> None:
    """Publish the probes until each is confirmed, and wait until each group settled its own, or the time
    for that is over."""
    loop = asyncio.get_running_loop()
    enough = run.site.within * MARGIN
    deadline, missing = loop.time() + enough - run.held(), probes(run)
    awaited: set[tuple[str, int]] = set()
    async with run.connection() as broker:
        while missing and loop.time() < deadline + run.held() and not run.broken.is_set():
            confirmed = await _publish(run, broker, missing, enough)
            awaited.update(
                pair
                for step, ok in zip(missing, confirmed, strict=True)
                if ok
                for pair in _receivers(run, step)
            )
            again = [step for step, ok in zip(missing, confirmed, strict=True) if not ok]
            missing = [_renumbered(step, next(run.numbers)) for step in again]
            await asyncio.sleep(run.site.tick if missing else 0)
    await until(run, lambda: awaited <= run.acked, enough)


async def _publish(run: Run, broker: Broker, steps: Sequence[Publish], seconds: float) -> list[bool]:
    """Publish side by side; which ones were confirmed. A call that does not end in time stays open."""
    calls = [asyncio.ensure_future(run.publish(broker, "prober", step, probe=True)) for step in steps]
    await wait_for_all(calls, seconds, run.held)
    return [not call.cancelled() and call.result() == "ok" for call in calls]


def _renumbered(step: Publish, call: int) -> Publish:
    return msgspec.structs.replace(step, call=call, event=call)


def _receivers(run: Run, step: Publish) -> Iterator[tuple[str, int]]:
    """Group and call, for each group that must get a probe."""
    for number, group in enumerate(run.scenario.groups):
        if group.topic == step.topic and run.policies[number].wants(TYPES[step.type]):
            yield run.groups[number], step.call


async def _prove(run: Run, group: int) -> None:
    """Record that a group has nothing left: by the broker's counters, else by silence."""
    name, topic = run.groups[group], run.topics[run.scenario.groups[group].topic]
    gap = run.longest_wait(group) * MARGIN + 2 * SLACK
    if run.site.facilities.idle is None:
        await _silence(run, topic, name, max(gap, 2 * run.longest_wait(group)))
    else:
        await _idle_twice(run, topic, name, gap, run.site.within)


async def _prove_dead(run: Run, topic: str) -> None:
    gap = READER_LEASE * run.site.tick * MARGIN
    if run.site.facilities.idle is None:
        await _silence(run, topic, "", gap)
    else:
        await _idle_twice(run, topic, "", gap, run.site.within)


async def _idle_twice(run: Run, topic: str, group: str, gap: float, within: float) -> None:
    """Record the counters of two moments `gap` seconds apart, idle both times and nothing stored between."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while loop.time() < deadline and not run.broken.is_set():
        before = await counters(run, topic, group or run.reader)
        start = loop.time()
        await asyncio.sleep(gap if _is_idle(before) else run.site.tick / POLLS_PER_TICK)
        if not _is_idle(before):
            continue
        passed = int((loop.time() - start) * NANOSECONDS)
        after = await counters(run, topic, group or run.reader)
        if _is_idle(after) and after["last"] == before["last"]:
            again = {f"{name}_again": number for name, number in after.items()}
            run.record("drained", topic=topic, group=group, numbers={**before, **again, "gap_ns": passed})
            return


async def _silence(run: Run, topic: str, group: str, quiet: float) -> None:
    """Without counters: nothing was recorded for so long that whatever is due must have come."""
    loop = asyncio.get_running_loop()
    deadline, quiet = loop.time() + run.site.within, max(quiet, run.claims.redelivery.within)
    while loop.time() < deadline + quiet and not run.broken.is_set():
        seen, start = run.record.deliveries, loop.time()
        await asyncio.sleep(quiet)
        if run.record.deliveries == seen:
            silence = int((loop.time() - start) * NANOSECONDS)
            run.record("drained", topic=topic, group=group, numbers={"silence_ns": silence})
            return


async def counters(run: Run, topic: str, group: str) -> Mapping[str, int]:
    """The broker's own counters of a group. Callers know that the target has them."""
    assert run.site.facilities.idle is not None
    return await run.site.facilities.idle(topic, group)


def _is_idle(numbers: Mapping[str, int]) -> bool:
    return numbers["pending"] == numbers["in_flight"] == 0


async def until(run: Run, condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for what a settlement brings about; False when the time for it is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        run.progress.clear()
        try:
            await asyncio.wait_for(run.progress.wait(), deadline - loop.time())
        except asyncio.TimeoutError:
            return condition()
        if run.broken.is_set():
            return False
    return True
