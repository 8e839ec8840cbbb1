"""Hypothesis strategies for scenarios.

A scenario is a pure function of one byte string, read as small integers: first its structure, then four
bytes for each event. Hypothesis mutates an example by copying one of its draws over another of the same
kind; with a draw per integer, half of the scenarios were near copies of others, and with a single draw none
are. It is also twenty times faster than drawing each choice. Three size classes keep small scenarios, which
explain, and large ones, which break, both frequent.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from eventproof.conformance.behaviours import behaviours
from eventproof.conformance.misfortunes import befallen, in_turn, without_broker_faults
from eventproof.conformance.numbers import Numbers
from eventproof.conformance.scenario import (
    TYPES,
    Consumer,
    Group,
    Payload,
    Policy,
    Publish,
    Scenario,
    Topic,
)

PAYLOADS = (
    Payload(),
    Payload(kind="json"),
    Payload(kind="json", json={"total": 1200, "currency": "EUR"}),
    Payload(kind="json", json=""),
    Payload(kind="json", json={}),
    Payload(kind="json", json=[]),
    Payload(kind="json", json=0),
    Payload(kind="json", json=False),
    Payload(kind="json", json=1.5),
    Payload(kind="json", json=-(2**53) - 1),
    Payload(kind="json", json="42"),
    Payload(kind="json", json='\u0000\t\r\n"\\\u2028é\U0001f600'),
    Payload(kind="json", json={"": None, "a.b": [1, "1", 1.0, True, None], "ключ": {"深": ["い"]}}),
    Payload(kind="json", json=[[[[[[[[]]]]]]]]),
    Payload(kind="json", json="x" * 4096),
    Payload(kind="bytes"),
    Payload(kind="bytes", raw=bytes(range(256))),
    Payload(kind="bytes", raw=b'{"looks":"like JSON"}'),
)
OVERSIZE = Payload(kind="oversize")

FILTERS: tuple[tuple[str, ...], ...] = (
    (),
    (),
    (),
    ("com.example.shop.order.*",),
    (TYPES[0], TYPES[2]),
    (TYPES[1],),
)
BACKOFFS: tuple[tuple[int, ...], ...] = ((1,), (0,), (1, 2), (2, 1, 3))
ATTEMPTS: tuple[int | None, ...] = (None, 1, 2, 2, 3, 3, 4, None)
IN_FLIGHT = (16, 1, 2, 4)
STARTS: tuple[Literal["earliest", "latest"], ...] = ("earliest", "earliest", "earliest", "latest")

TOPICS, PARTITIONS, GROUPS = (1, 1, 1, 2), (1, 2, 3, 4), (1, 1, 2)
SMALL, MEDIUM, LARGE = (1, 8), (9, 32), (300, 360)  # publish calls
GAPS = 12  # ticks that one publisher may wait in all
LARGE_KEYS = 100
STRUCTURE, BYTES_PER_EVENT = 192, 4
FAULTS = 48  # bytes for the faults of a scenario
LED = {"real": 20, "virtual": 2}  # scenarios of which one brings a fault upon the broker, of those beside it
POOL = (*PAYLOADS, OVERSIZE, OVERSIZE)


def scenarios(*, faults: bool = False) -> st.SearchStrategy[Scenario]:
    """Any scenario that a broker of this protocol may be asked to go through. faults: each with some."""
    size = STRUCTURE + BYTES_PER_EVENT * LARGE[1]
    if not faults:
        return st.binary(min_size=size, max_size=size).map(from_bytes)
    return st.binary(min_size=size + FAULTS, max_size=size + FAULTS).map(from_more_bytes)


def from_more_bytes(noise: bytes) -> Scenario:
    """The scenario with faults that a byte string stands for."""
    return befallen(Numbers(noise[-FAULTS:]), from_bytes(noise[:-FAULTS]))


def from_bytes(noise: bytes) -> Scenario:
    """The scenario that a byte string stands for."""
    numbers, events = Numbers(noise[:STRUCTURE]), noise[STRUCTURE:]
    count, keys = _size(numbers)
    topics = tuple(_topic(numbers) for _ in range(numbers.pick(TOPICS)))
    pool = tuple(numbers.pick(POOL) for _ in range(numbers.pick((1, 2, 3, 4))))
    publishers = _publishers(
        numbers.pick((1, 2, 3)), keys, topics, len(pool), events[: BYTES_PER_EVENT * count]
    )
    groups = tuple(_group(numbers, len(topics), count) for _ in range(numbers.pick(GROUPS)))
    acts = behaviours(numbers, groups, count) if numbers.below(4) else ()
    return Scenario(topics=topics, payloads=pool, publishers=publishers, groups=groups, behaviours=acts)


def _size(numbers: Numbers) -> tuple[int, int]:
    """How many publish calls, over how many keys."""
    kind = numbers.below(64)
    if kind == 0:
        return LARGE[0] + numbers.below(LARGE[1] - LARGE[0]), LARGE_KEYS + numbers.below(32)
    low, high = SMALL if kind % 4 == 1 else MEDIUM
    return low + numbers.below(high - low + 1), 1 + numbers.below(6)


def _topic(numbers: Numbers) -> Topic:
    return Topic(partitions=numbers.pick(PARTITIONS), window=numbers.pick((None, 3, 4, 6)))


def _group(numbers: Numbers, topics: int, count: int) -> Group:
    start = numbers.pick(STARTS)
    policy = Policy(
        ack_timeout=numbers.pick((4, 6)),
        backoff=numbers.pick(BACKOFFS),
        max_attempts=numbers.pick(ATTEMPTS),
        max_in_flight=numbers.pick(IN_FLIGHT),
        types=numbers.pick(FILTERS),
        start=start,
    )
    members = numbers.pick((1, 2, 2, 3))
    first, *others = (_consumer(numbers, count) for _ in range(members))
    joins = 1 + count // 2 if start == "latest" else first.joins
    consumers = (msgspec.structs.replace(first, conflicting=False, joins=joins), *others)
    return Group(topic=numbers.below(topics), policy=policy, consumers=consumers)


def _consumer(numbers: Numbers, count: int) -> Consumer:
    """One in four joins during the traffic or after it."""
    late = numbers.below(4) == 0
    return Consumer(
        joins=1 + numbers.below(256) % count if late else 0,
        sequential=numbers.below(8) == 0,
        conflicting=numbers.below(8) == 0,
    )


def _publishers(
    publishers: int, keys: int, topics: tuple[Topic, ...], payloads: int, noise: bytes
) -> tuple[tuple[Publish, ...], ...]:
    """Deal one publish call for each four bytes; about one in eight repeats an earlier event."""
    steps: list[list[Publish]] = [[] for _ in range(publishers)]
    made: list[Publish] = []
    waits = [0 if len(noise) >= 4 * LARGE[0] else GAPS] * publishers
    for call in range(1, len(noise) // 4 + 1):
        a, b, c, d = noise[4 * call - 4 : 4 * call]
        who = b % publishers
        if c in REPEATS and made:
            step = _repeat(call, made[-1 - c % min(len(made), 8)], topics, b, d, payloads)
        else:
            step = _fresh(call, keys, len(topics), payloads, (a, b, c, d))
        step = msgspec.structs.replace(step, after=min(step.after, waits[who]), pipelined=who % 2 == 1)
        waits[who] -= step.after
        made.append(step)
        steps[who].append(step)
    return tuple(map(tuple, steps))


REPEATS = range(100, 132)  # of 256, away from the ends, which Hypothesis favours


def _fresh(call: int, keys: int, topics: int, payloads: int, noise: tuple[int, int, int, int]) -> Publish:
    a, b, c, d = noise
    return Publish(
        call=call,
        event=call,
        key=a % (keys + 1),
        topic=(b >> 2) % topics,
        type=(0, 0, 0, 1, 2)[c % 5],
        payload=d % payloads,
        after=a % 3 if d >= 224 else 0,  # noqa: PLR2004 - one in eight waits
        expires=1 + a % 2 if b >= 232 else None,  # noqa: PLR2004 - one in ten expires
    )


def _repeat(
    call: int, original: Publish, topics: tuple[Topic, ...], b: int, d: int, payloads: int
) -> Publish:
    """The same (source, id) again: at once, near the window's edge, or past it; sometimes with other data."""
    window = topics[original.topic].window or 0
    return Publish(
        call=call,
        event=original.event,
        topic=original.topic,
        key=original.key,
        type=original.type,
        payload=d % payloads if b % 4 == 0 else original.payload,
        after=(0, 0, 1, window + 2, window + 2)[d % 5] if window else 0,
    )


def generate(count: int, at: int, *, led: int = 0, before: int = 0) -> list[Scenario]:
    """`count` scenarios for a seed, no two of one structure: the same ones each time, with the same
    version of Hypothesis. led: with faults of consumers, and in one scenario of so many one of the broker;
    its kinds take turns. before: scenarios of the run that were generated already."""
    found: dict[bytes, Scenario] = {}
    while len(found) < count:
        for scenario in _generate(count - len(found) + SPARE, at, faults=led > 0):
            found.setdefault(structure(scenario), scenario)
        at += 1
    chosen = list(found.values())[:count]
    if not led:
        return chosen
    return [
        without_broker_faults(one) if n % led else in_turn(one, n // led)
        for n, one in enumerate(chosen, before)
    ]


SPARE = 50  # the first ones that Hypothesis draws are the same small ones for each seed


def structure(scenario: Scenario) -> bytes:
    """What a scenario does, without the data that its events carry."""
    return msgspec.json.encode(msgspec.structs.replace(scenario, payloads=()))


def _generate(count: int, at: int, *, faults: bool) -> list[Scenario]:
    found: list[Scenario] = []

    @seed(at)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(scenarios(faults=faults))
    def collect(scenario: Scenario) -> None:
        found.append(scenario)

    collect()
    return found
