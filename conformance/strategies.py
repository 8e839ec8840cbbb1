"""Hypothesis strategies for scenarios.

Structure is drawn as small integers and what repeats per event as one byte string: drawing each event's
choices one by one costs more than running the scenario. Three size classes keep small scenarios (which
explain) and large ones (which break) both frequent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from eventproof.conformance.scenario import (
    TYPES,
    Act,
    Behaviour,
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
    Payload(kind="json", json="\u0000\t\r\n\"\\\u2028é\U0001f600"),
    Payload(kind="json", json={"": None, "a.b": [1, "1", 1.0, True, None], "ключ": {"深": ["い"]}}),
    Payload(kind="json", json=[[[[[[[[]]]]]]]]),
    Payload(kind="json", json="x" * 4096),
    Payload(kind="bytes"),
    Payload(kind="bytes", bytes=bytes(range(256))),
    Payload(kind="bytes", bytes=b'{"looks":"like JSON"}'),
)
OVERSIZE = Payload(kind="oversize")

FILTERS: tuple[tuple[str, ...], ...] = ((), (), (), ("com.example.shop.order.*",), (TYPES[0], TYPES[2]), (TYPES[1],))
BACKOFFS: tuple[tuple[int, ...], ...] = ((1,), (0,), (1, 2), (2, 1, 3))
ATTEMPTS: tuple[int | None, ...] = (None, 1, 2, 2, 3, 3, 4, None)
IN_FLIGHT = (16, 1, 2, 4)

NACK, LEAVE, REJECT = Act(do="nack"), Act(do="leave", ticks=0), Act(do="reject")
PATTERNS: tuple[tuple[Act, ...], ...] = (
    (NACK,),
    (NACK, NACK),
    (Act(do="nack", ticks=2),),
    (NACK,) * 6,
    (LEAVE,),
    (NACK, LEAVE, NACK),
    (Act(do="hold", ticks=1),),
    (Act(do="hold", ticks=2), NACK),
    (Act(do="twice"),),
    (Act(do="leave", ticks=1),),
    (REJECT,),
    (NACK, REJECT),
)
SLOW: tuple[tuple[Act, ...], ...] = (
    (Act(do="hold", ticks=8),),
    (Act(do="extend", ticks=8),),
    (Act(do="abandon"),),
    (Act(do="abandon"),) * 4,
    (Act(do="hold", ticks=8), NACK),
)
SMALL, MEDIUM, LARGE = (1, 8), (9, 32), (300, 360)  # publish calls
GAPS = 12  # ticks that one publisher may wait in all
LARGE_KEYS = 100


@lru_cache
def _integers(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most)


@lru_cache
def _noise(length: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=length, max_size=length)


@st.composite
def scenarios(draw: Any) -> Scenario:
    """Any scenario that a broker of this protocol may be asked to go through."""
    count, keys = _size(draw)
    topics = tuple(_topic(draw) for _ in range(1 if draw(_integers(3)) else 2))
    pool = draw(_POOL)
    publishers = _publishers(draw(_integers(2)) + 1, keys, topics, len(pool), draw(_noise(4 * count)))
    groups = tuple(_group(draw, len(topics), count) for _ in range(1 + draw(_integers(2)) // 2))
    quiet = draw(_integers(3)) == 1
    behaviours = () if quiet else _behaviours(groups, count, draw(_noise(3 * (2 + draw(_integers(7))))))
    return Scenario(topics=topics, payloads=pool, publishers=publishers, groups=groups, behaviours=behaviours)


_POOL = st.lists(st.sampled_from((*PAYLOADS, OVERSIZE)), min_size=1, max_size=4).map(tuple)


def _size(draw: Any) -> tuple[int, int]:
    """How many publish calls, over how many keys."""
    kind = draw(_integers(63))
    if kind in {37, 38}:  # one in 32 is large; not at an end of the range, which Hypothesis favours
        return LARGE[0] + draw(_integers(60)), LARGE_KEYS + draw(_integers(31))
    low, high = SMALL if kind % 4 == 1 else MEDIUM
    return low + draw(_integers(high - low)), 1 + draw(_integers(5))


def _topic(draw: Any) -> Topic:
    return Topic(partitions=(3, 1, 2, 4)[draw(_integers(3))], window=(None, 3, 6, 4)[draw(_integers(3))])


def _group(draw: Any, topics: int, count: int) -> Group:
    policy = Policy(
        ack_timeout=(4, 6)[draw(_integers(1))],
        backoff=BACKOFFS[draw(_integers(3))],
        max_attempts=ATTEMPTS[draw(_integers(7))],
        max_in_flight=IN_FLIGHT[draw(_integers(3))],
        types=FILTERS[draw(_integers(5))],
        start="latest" if draw(_integers(7)) == 1 else "earliest",
    )
    members = (1, 2, 2, 3)[draw(_integers(3))]
    first, *others = (_consumer(draw(_integers(63)), count) for _ in range(members))
    consumers = (msgspec.structs.replace(first, conflicting=False), *others)
    return Group(topic=draw(_integers(topics - 1)), policy=policy, consumers=consumers)


def _consumer(number: int, count: int) -> Consumer:
    late = number % 4 == 3  # noqa: PLR2004 - one in four joins during or after the traffic
    return Consumer(
        joins=1 + number % count if late else 0, sequential=number % 8 == 1, conflicting=number % 16 == 2  # noqa: PLR2004
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
        expires=1 + a % 3 if b >= 248 else None,  # noqa: PLR2004 - one in 32 expires
    )


def _repeat(call: int, original: Publish, topics: tuple[Topic, ...], b: int, d: int, payloads: int) -> Publish:
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


def _behaviours(groups: tuple[Group, ...], count: int, noise: bytes) -> tuple[Behaviour, ...]:
    """At most one behaviour per group and call; few slow ones, since they take whole leases."""
    chosen: dict[tuple[int, int], tuple[Act, ...]] = {}
    slow = 3
    for a, b, c in zip(noise[::3], noise[1::3], noise[2::3], strict=True):
        group = a % len(groups)
        if c >= 160 and slow:  # noqa: PLR2004 - three in eight are slow
            acts, slow = SLOW[b % len(SLOW)], slow - 1
        else:
            acts = PATTERNS[b % len(PATTERNS)]
        if groups[group].policy.max_attempts is None:
            acts = tuple(NACK if act.do == "reject" else act for act in acts[:3])
        chosen.setdefault((group, 1 + c % count), acts)
    return tuple(Behaviour(group=group, call=call, acts=acts) for (group, call), acts in chosen.items())


def generate(count: int, at: int) -> list[Scenario]:
    """`count` scenarios for a seed, no two of one structure: the same ones each time, with the same
    version of Hypothesis."""
    found: dict[bytes, Scenario] = {}
    while len(found) < count:
        for scenario in _generate(count - len(found) + SPARE, at):
            found.setdefault(structure(scenario), scenario)
        at += 1
    return list(found.values())[:count]


SPARE = 50  # the first ones that Hypothesis draws are the same small ones for each seed


def structure(scenario: Scenario) -> bytes:
    """What a scenario does, without the data that its events carry."""
    return msgspec.json.encode(msgspec.structs.replace(scenario, payloads=()))


def _generate(count: int, at: int) -> list[Scenario]:
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
    @given(scenarios())
    def collect(scenario: Scenario) -> None:
        found.append(scenario)

    collect()
    return found
