"""Run one scenario on a broker and return what happened: the only I/O between scenario and history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from eventproof.adapters import clock
from eventproof.conformance.execution.consumer import Member
from eventproof.conformance.execution.drain import MARGIN, counters, drain
from eventproof.conformance.execution.publisher import publish_all
from eventproof.conformance.execution.run import SLACK, Run, Site, wait_for_all
from eventproof.conformance.execution.stalls import Stalls
from eventproof.conformance.execution.triggers import Triggers
from eventproof.conformance.execution.weather import Weather
from eventproof.conformance.history.record import GroupInfo, Header, History, TopicInfo
from eventproof.conformance.misfortunes import as_met
from eventproof.conformance.scenario import Fault, Scenario, digest

SETTLE_TICKS = 60  # how long the planned consumers may take for what was published; the drain does the rest


async def execute(scenario: Scenario, site: Site, namespace: str, weather: Weather) -> History:
    """Everything a scenario asks for, then the proof that nothing is left, then the log."""
    run = Run(scenario, site, namespace, weather)
    header = _header(run)
    stalls = Stalls(run.record) if site.facilities.clock == "real" else None
    weather.join(run.record)
    try:
        await _provision(run)
        await run.guarded("suite", partial(_traffic, run))
        if not run.broken.is_set():
            await run.guarded("suite", partial(drain, run))
            await run.guarded("suite", partial(_read, run))
    finally:
        try:
            if scenario.broker_faults:
                await weather.end()
        finally:  # also if the broker never came back
            weather.leave(run.record, began=run.began)
            if stalls is not None:
                stalls.stop()
        if site.facilities.remove is not None:
            await site.facilities.remove(_topics(run))
    run.record("end")
    history = run.record.history(header)
    return _named(history, scenario) if weather.strikes else history


def _named(history: History, scenario: Scenario) -> History:
    """The history under the name of the scenario that shows it alone, with the faults that it met."""
    name = digest(as_met(scenario, history))
    return msgspec.structs.replace(history, header=msgspec.structs.replace(history.header, scenario=name))


def _header(run: Run) -> Header:
    site = run.site
    topics = [
        TopicInfo(
            name=name,
            partitions=plan.partitions if site.facilities.provision else None,
            window=_window(run, plan.window),
        )
        for name, plan in zip(run.topics, run.scenario.topics, strict=True)
    ]
    groups = [
        GroupInfo(name=name, topic=run.topics[plan.topic], policy=policy)
        for name, plan, policy in zip(run.groups, run.scenario.groups, run.policies, strict=True)
    ]
    return Header(
        claims=run.claims, run=run.source, scenario=digest(run.scenario), target=site.target, topics=topics,
        groups=groups, tick=site.tick, slack=SLACK, within=site.within, anchor=clock.now().timestamp(),
        versions=site.versions, configuration=site.configuration,
    )  # fmt: skip


def _window(run: Run, ticks: int | None) -> float | None:
    """Seconds of publish deduplication: as provisioned, else as claimed."""
    if ticks is None or run.site.facilities.provision is None:
        return run.claims.publish_dedup.window
    return ticks * run.site.tick


def _topics(run: Run) -> list[str]:
    return [*run.topics, *(topic for topic in run.dead_topics if topic)]


async def _provision(run: Run) -> None:
    provision, announce = run.site.facilities.provision, run.site.facilities.announce
    if provision is None and announce is not None:
        announce(_topics(run))
    if provision is not None:
        plans = [
            (name, plan.partitions, plan.window)
            for name, plan in zip(run.topics, run.scenario.topics, strict=True)
        ]
        plans += [(name, 1, None) for name in run.dead_topics if name]
        await asyncio.gather(
            *(
                provision(name, partitions=n, window=None if w is None else w * run.site.tick)
                for name, n, w in plans
            )
        )


async def _traffic(run: Run) -> None:
    """Publishers and consumers, until what was published is settled or the time for it is over."""
    members = _members(run)
    triggers = _triggers(run, members)
    tasks = [member.start() for member in members]
    try:
        await wait_for_all(
            (member.joined.wait() for member in members if member.joins_first), run.site.within
        )
        await run.begin()
        run.record.seen = triggers.see
        await _publish(run)
        await wait_for_all(
            (member.joined.wait() for member in members if not member.plan.conflicting), run.site.within
        )
        if not run.scenario.broker_faults:
            await run.weather.over()
        await _positions(run)
        await _settled(run, members)
        triggers.disarm()
        if run.scenario.broker_faults:
            await run.weather.end()
        for member in members:
            member.stop()
        await wait_for_all(tasks, run.site.within)
    finally:
        triggers.disarm()
        for member in members:
            member.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


def _members(run: Run) -> list[Member]:
    befallen = {(fault.group, fault.consumer) for fault in run.scenario.faults}
    return [
        Member(run, group, _process(run, group, number), plan, mortal=(group, number) in befallen)
        for group, settings in enumerate(run.scenario.groups)
        for number, plan in enumerate(settings.consumers)
    ]


def _process(run: Run, group: int, number: int) -> str:
    return f"{run.groups[group]}-c{number}"


def _triggers(run: Run, members: Sequence[Member]) -> Triggers:
    by_name = {member.process: member for member in members}

    def strike(fault: Fault, process: str) -> None:
        if process:
            by_name[process].strike(fault)
        else:
            run.weather.strike(fault)

    named = [
        (fault, "" if fault.group is None else _process(run, fault.group, fault.consumer))
        for fault in run.scenario.faults
    ]
    return Triggers(named, strike)


async def _publish(run: Run) -> None:
    """All publishers side by side. After a while none of them begins another call, and each call that is open
    then still gets the time after which it hangs."""
    waits = max((sum(step.after for step in steps) for steps in run.scenario.publishers), default=0)
    while_open = waits * run.site.tick + run.site.within
    until = asyncio.get_running_loop().time() + while_open
    work = (
        run.guarded(f"p{number}", partial(publish_all, run, f"p{number}", steps, until))
        for number, steps in enumerate(run.scenario.publishers)
    )
    await wait_for_all(work, while_open + run.site.within * MARGIN, run.held)
    run.release_joins()


async def _settled(run: Run, members: list[Member]) -> None:
    """Wait until every group's counters are idle, or until it is for the drain to finish the rest."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_TICKS * run.site.tick
    while not await _idle(run) and loop.time() < deadline and not run.broken.is_set():  # noqa: ASYNC110 - a poll
        await asyncio.sleep(run.site.tick)
    await wait_for_all((member.handled() for member in members), max(deadline - loop.time(), run.site.tick))


async def _idle(run: Run) -> bool:
    """Whether nothing is pending nor in flight; without counters, whether a longest wait passed quietly."""
    if run.site.facilities.idle is None:
        seen = run.record.deliveries
        await asyncio.sleep(max((run.longest_wait(g) for g in range(len(run.groups))), default=0) * 2)
        return run.record.deliveries == seen
    for topic, name in _joined(run):
        numbers = await run.weather.told(partial(counters, run, topic, name))
        if numbers is None or numbers["pending"] or numbers["in_flight"]:
            return False
    return True


def _joined(run: Run) -> list[tuple[str, str]]:
    """Topic and name of each group that the broker knows by now."""
    plans = zip(run.groups, run.scenario.groups, run.joined, strict=True)
    return [(run.topics[plan.topic], name) for name, plan, joined in plans if joined.is_set()]


async def _positions(run: Run) -> None:
    positions = run.site.facilities.positions
    if positions is None:
        return
    for topic, name in _joined(run):
        told = await run.weather.told(partial(positions, topic, name))
        for partition, position in (told or {}).items():
            run.record("group.position", topic=topic, group=name, partition=partition, position=position)


async def _read(run: Run) -> None:
    """What the broker's own books say at the end."""
    await _positions(run)
    if run.site.facilities.read_log is not None:
        for topic in run.topics:
            run.record("log.read", topic=topic, entries=await run.site.facilities.read_log(topic))
