"""What the consumers of a scenario do with its events: fail them, hold them, leave with them."""

from __future__ import annotations

from eventproof.conformance.numbers import Numbers
from eventproof.conformance.scenario import Act, Behaviour, Group

NACK, LEAVE, REJECT = Act(do="nack"), Act(do="leave", ticks=0), Act(do="reject")
PATTERNS: tuple[tuple[Act, ...], ...] = (
    (NACK,),
    (NACK, NACK),
    (Act(do="nack", ticks=2),),
    (NACK,) * 6,
    (NACK,) * 6,
    (LEAVE,),
    (NACK, LEAVE, NACK),
    (Act(do="hold", ticks=1),),
    (Act(do="hold", ticks=2), NACK),
    (Act(do="twice"),),
    (Act(do="twice"),),
    (Act(do="leave", ticks=1),),
    (REJECT,),
    (REJECT,),
    (NACK, REJECT),
)
LATE = Act(do="hold", ticks=12)  # longer than a lease and what a broker adds to it: somebody else has it
SLOW: tuple[tuple[Act, ...], ...] = (
    (LATE,),
    (LATE, LATE),
    (LATE, NACK),
    (Act(do="extend", ticks=8),),
    (Act(do="abandon"),),
    (Act(do="abandon"), LATE),
)


def behaviours(numbers: Numbers, groups: tuple[Group, ...], count: int) -> tuple[Behaviour, ...]:
    """At most one behaviour per group and call; few slow ones, since they take whole leases. Three
    scenarios in four have an event that fails again and again; one in three is congested: a run of calls is
    worked on for a while, so that much is in flight at once."""
    chosen: dict[tuple[int, int], tuple[Act, ...]] = {}
    slow = numbers.below(4)
    for _ in range(2 + numbers.below(10)):
        group, call = numbers.below(len(groups)), _call(numbers, count)
        acts = numbers.pick(SLOW) if slow else numbers.pick(PATTERNS)
        slow = max(slow - 1, 0)
        chosen.setdefault(
            (group, call), _without_dead_letter(acts) if groups[group].policy.max_attempts is None else acts
        )
    if numbers.below(4):
        group, call = numbers.below(len(groups)), _call(numbers, (count + 3) // 4)
        chosen[group, call] = (NACK,) * 4
    if numbers.below(3) == 0:
        group, call = numbers.below(len(groups)), 1 + numbers.below(256) % count
        for number in range(call, min(call + 6, count + 1)):
            chosen.setdefault((group, number), (Act(do="hold", ticks=1),))
    return tuple(Behaviour(group=group, call=call, acts=acts) for (group, call), acts in chosen.items())


def _call(numbers: Numbers, count: int) -> int:
    """A call, every other time one of the first quarter: what fails early has most to hold up."""
    return 1 + numbers.below(256) % numbers.pick((count, (count + 3) // 4))


def _without_dead_letter(acts: tuple[Act, ...]) -> tuple[Act, ...]:
    """What a group can do that has no dead-letter topic: fail a few times, then ack."""
    return tuple(NACK if act.do == "reject" else act for act in acts[:3])
