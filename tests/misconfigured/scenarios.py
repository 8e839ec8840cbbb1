"""Small scenarios, each with the fault that brings out one of the mistakes of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from eventproof.conformance.scenario import (
    Act,
    Behaviour,
    Consumer,
    Fault,
    Group,
    Policy,
    Publish,
    Scenario,
    Topic,
)

HOLD: Final = Act(do="hold", ticks=2)


def events(first: int, last: int, **more: Any) -> list[Publish]:
    """New ones without a key."""
    return [Publish(call=number, event=number, **more) for number in range(first, last + 1)]


def scenario(
    steps: Sequence[Publish],
    fault: Fault,
    *acts: Act,
    consumers: Sequence[Consumer] = (Consumer(),),
    partitions: int = 1,
    **policy: Any,
) -> Scenario:
    """One publisher, and one group that does the same with each event."""
    behaviours = (Behaviour(group=0, call=step.call, acts=acts) for step in steps if acts)
    return Scenario(
        topics=(Topic(partitions=partitions),),
        publishers=(tuple(steps),),
        groups=(Group(policy=Policy(**policy), consumers=tuple(consumers)),),
        behaviours=tuple(behaviours),
        faults=(fault,),
    )


def broker_killed(after: Any, count: int) -> Fault:
    return Fault(do="kill", after=after, count=count, ticks=1)


# The broker is killed while it has events that nobody has handled.
UNHANDLED: Final = scenario(events(1, 10), broker_killed("publish.ok", 8), HOLD)

# The broker is killed as soon as it has confirmed the last of ten acks.
JUST_ACKED: Final = scenario(events(1, 10), broker_killed("ack.ok", 10))

# Five events are handled; a second later the broker is killed, and when it is back they are published again.
REPEATED: Final = scenario(
    [
        *events(1, 5),
        *events(6, 6, after=4),
        Publish(call=7, event=1, after=8),
        *(Publish(call=6 + event, event=event) for event in range(2, 6)),
    ],
    broker_killed("ack.ok", 6),
)

# A consumer stands still for longer than the server's lease, and acks when it goes on. It fetches nothing
# beside the event that it has, so that the other consumer gets that.
STOOD_STILL: Final = scenario(
    events(1, 1),
    Fault(do="freeze", group=0, after="deliver", ticks=16),
    Act(do="hold", ticks=6),
    consumers=(Consumer(), Consumer(joins=1)),
    partitions=2,
    max_in_flight=1,
    ack_timeout=8,
)

# A consumer is killed with its second event in hand. Nobody else is there until the last event comes, so that
# it has had time to fetch the others.
FETCHED: Final = scenario(
    [*events(1, 8), *events(9, 9, after=10)],
    Fault(do="kill", group=0, after="deliver", count=2),
    HOLD,
    consumers=(Consumer(sequential=True), Consumer(joins=9)),
    ack_timeout=8,
)
