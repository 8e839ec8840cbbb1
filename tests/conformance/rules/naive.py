"""The definitions, read aloud: each anomaly by search over the bare records, as slow as it likes to be.

Written from the definitions and not from the rules, to be compared with them on small histories. Each
function gives the occurrences by what identifies them.
"""

from __future__ import annotations

from eventproof.conformance.history.record import GroupInfo, Record
from tests.conformance.rules.told import NS, Told

Occurrences = set[tuple[object, ...]]


class Naive(Told):
    # lease and settlement

    def timeout(self, d: Record) -> int:
        return int(next(g for g in self.groups() if g.name == d.group).policy.ack_timeout * NS)

    def lease(self, d: Record, at: int) -> int:
        end = d.t + self.timeout(d)
        for verb, invoke, done in self.acts(d):
            renewed = verb == "extend" and done is not None and self.how(done) == "ok" and done.i < at
            if renewed and invoke.t <= end - self.slack - self.stalled(d.t - self.timeout(d), invoke.t):
                end = invoke.t + self.timeout(d)
        return end

    def let_go(self, d: Record, at: Record) -> bool | None:
        """Whether d's hold had ended before `at`; None if too close to tell."""
        signs = [r for v, r, done in self.acts(d) if v == "nack" and self.how(done) != "rejected"]
        signs += [c for _, _, c in self.acts(d) if c is not None and c.reason == "lease-expired"]
        signs += [r for r in self.kind("lease.lost") if r.delivery == d.delivery]
        signs += self.session_ends(d.session)
        signs += [r for r in self.faults(self.process(d.session)) if r.i > d.i]
        if any(r.i < at.i for r in signs):
            return True
        if self.dying(d, d.i) or any(a.i < d.i < b.i for a, b in self.outages()):
            return True
        end = self.lease(d, at.i)
        if at.t > end:
            return True
        return False if at.t <= end - self.slack - self.stalled(d.t - self.timeout(d), at.t) else None

    def in_settlement(self, d: Record, at: Record) -> bool:
        """An ack or reject of d was invoked before `at` and not known to be refused then."""
        return any(
            verb in {"ack", "reject"}
            and invoke.i < at.i
            and (done is None or done.kind.endswith((".ok", ".indeterminate")) or done.i > at.i)
            for verb, invoke, done in self.acts(d)
        )

    def possibly_settled(self, copy: list[Record], at: Record) -> bool:
        earlier = [d for d in copy if d.i < at.i]
        if not earlier:
            return False
        last = earlier[-1]
        killed = self.kills_not_survived(self.claims.survives.messages)
        return (
            any(self.in_settlement(d, at) for d in earlier)
            or any(last.i < r.i < at.i for r in killed)
            or (self.may_be_dead(earlier) and self.has_failed(last, at))
        )

    def may_be_dead(self, hand_outs: list[Record]) -> bool:
        last = hand_outs[-1]
        limit = next(g for g in self.groups() if g.name == last.group).policy.max_attempts
        dead = any(r.call == last.call and r.group == last.group for r in self.kind("dead"))
        return dead or (limit is not None and max(len(hand_outs), last.attempt) >= limit)

    def has_failed(self, last: Record, at: Record) -> bool:
        nacks = [c for v, r, c in self.acts(last) if v == "nack" and r.i < at.i]
        nacked = any(c is None or c.i > at.i or self.how(c) != "rejected" for c in nacks)
        return nacked or self.let_go(last, at) is not False

    # what is owed

    def drained(self, group: GroupInfo) -> int:
        asked = [
            r.delay
            for d in self.deliveries(group.name)
            for v, r, _ in self.acts(d)
            if v == "nack" and r.delay > 0
        ]
        wait = max(group.policy.ack_timeout, *group.policy.backoff, *asked, 0)
        return max(
            (
                r.i
                for r in self.kind("drained")
                if r.group == group.name and r.numbers["pending"] == 0 and r.numbers["gap_ns"] > wait * NS
            ),
            default=0,
        )

    def is_seen(self, invoke: Record) -> bool:
        return any(r.call == invoke.call for r in self.kind("deliver", "dead"))

    def is_owed(self, invoke: Record, group: GroupInfo) -> bool:
        starts = [r for r in self.kind("subscribe.invoke") if r.group == group.name]
        oks = [r for r in self.kind("subscribe.ok") if any(s.session == r.session for s in starts)]
        if not oks or not group.policy.wants(invoke.type):
            return False
        if group.policy.start == "latest" and invoke.i < oks[0].i:
            return False
        if any(r.i > invoke.i for r in self.kills_not_survived(self.claims.survives.messages)):
            return False
        if self.is_seen(invoke) and not self.is_rejected(invoke):
            return True
        done = self.outcome(invoke)
        if done is None or done.kind != "publish.ok" or done.duplicate:
            return False
        twins = [
            c
            for c in self.calls()
            if c.event == invoke.event and c is not invoke and c.i < done.i and not self.is_rejected(c)
        ]
        return done.duplicate is False or not twins

    def got(self, group: GroupInfo, call: int) -> bool:
        return any(r.call == call and r.group == group.name for r in self.kind("deliver", "dead"))

    # the anomalies

    def b2(self) -> Occurrences:
        found: Occurrences = set()
        for group in self.groups():
            for invoke in self.calls():
                end = self.outcome(invoke) or invoke
                if (
                    self.is_owed(invoke, group)
                    and not self.got(group, invoke.call)
                    and end.i < self.drained(group)
                ):
                    found.add((group.name, invoke.call))
        return found

    def b3(self) -> Occurrences:
        found: Occurrences = set()
        for group in self.groups():
            for invoke in self.calls():
                mine = self.deliveries(group.name, invoke.call)
                if not mine or mine[-1].i > self.drained(group) or self.is_rejected(invoke):
                    continue
                if any(r.call == invoke.call and r.group == group.name for r in self.kind("dead")):
                    continue
                settles = [c for d in mine for v, _, c in self.acts(d) if v in {"ack", "reject"}]
                if any(self.how(c) != "rejected" for c in settles):
                    continue
                if not any(r.i > invoke.i for r in self.kills_not_survived(self.claims.survives.messages)):
                    found.add((group.name, invoke.call))
        return found

    def settlement(self, copy: list[Record], again: Record) -> tuple[Record, Record, Record, str] | None:
        """(delivery, invoke, completion, verb) of the oldest settlement that stands at `again`."""
        kills = [r.i for r in self.kills_not_survived(self.claims.survives.acks) if r.i < again.i]
        undone = [min(b.i, again.i) for a, b in self.outages() if a.i in kills]
        found = []
        for d in copy:
            for verb, invoke, done in self.acts(d):
                if (
                    verb not in {"ack", "reject"}
                    or done is None
                    or self.how(done) != "ok"
                    or done.i > again.i
                ):
                    continue
                ends = self.session_ends(d.session)
                lost = any(e.kind != "session.closed" and done.i < e.i < again.i for e in ends)
                only_sent = self.claims.ack == "sent" and verb == "ack"
                survives = only_sent or "consumer-loss" in self.claims.survives.acks
                if done.i > max(undone, default=0) and (survives or not lost):
                    found.append((d, invoke, done, verb))
        return min(found, key=lambda s: s[2].i, default=None)

    def redelivered(self) -> list[tuple[list[Record], Record, Record]]:
        return [
            (copy, copy[n], copy[n + 1])
            for g in self.groups()
            for copy in self.copies(g.name)
            for n in range(len(copy) - 1)
        ]

    def c1(self) -> Occurrences:
        found: Occurrences = set()
        for copy, previous, again in self.redelivered():
            settlement = self.settlement(copy, again)
            if settlement is None:
                continue
            d, invoke, done, verb = settlement
            cut = [*self.session_ends(d.session), *self.faults(self.process(d.session))]
            failed = self.dying(d, invoke.i) or any(invoke.i < r.i < again.i for r in cut)
            failed = failed or any(a.i < invoke.i < b.i for a, b in self.outages())
            if self.claims.ack == "sent" and verb == "ack" and failed:
                continue
            stale = [r for x in copy for v, r, c in self.acts(x) if v == "nack" and self.how(c) != "rejected"]
            if any(previous.i < r.i < done.i for r in stale):
                continue
            if not (previous.i < done.i and self.let_go(previous, done) is not False):
                found.add((again.i,))
        return found

    def held_again(self, *, same: bool) -> Occurrences:
        found: Occurrences = set()
        for copy, previous, again in self.redelivered():
            if (previous.session == again.session) is not same or self.settlement(copy, again) is not None:
                continue
            stale = [r for d in copy for v, r, c in self.acts(d) if v == "nack" and self.how(c) != "rejected"]
            if any(previous.i < r.i < again.i for r in stale):
                continue
            if self.let_go(previous, again) is False:
                found.add((again.i,))
        return found

    def c2(self) -> Occurrences:
        return self.held_again(same=True)

    def c3(self) -> Occurrences:
        return self.held_again(same=False)

    def siblings(self, invoke: Record, weakest: str) -> list[Record]:
        scope = self.claims.publish_dedup.scope
        scope = weakest if scope == "none" else scope
        return [
            c
            for c in self.calls()
            if c.event == invoke.event and c.call != invoke.call and (scope == "topic" or c.key == invoke.key)
        ]

    def window(self) -> int:
        return int((self.claims.publish_dedup.window or 0) * NS)

    def is_stored(self, invoke: Record, others: list[Record]) -> bool:
        if self.is_seen(invoke) and not self.is_rejected(invoke):
            return True
        done = self.outcome(invoke)
        if done is None or done.kind != "publish.ok" or done.duplicate:
            return False
        return done.duplicate is False or all(self.is_rejected(c) or c.i > done.i for c in others)

    def c5(self) -> Occurrences:
        found: Occurrences = set()
        for second in self.calls():
            others = self.siblings(second, "key")
            if not self.is_stored(second, others):
                continue
            stored = [c for c in others if c.i < second.i and self.is_stored(c, self.siblings(c, "key"))]
            if not stored:
                continue
            first = stored[-1]
            kills = self.kills_not_survived(self.claims.survives.dedup)
            end = self.outcome(second)
            if any(first.i < r.i and not (end and self.is_ok(second) and end.i < r.i) for r in kills):
                continue
            gap = max(self.stored_by(second) - first.t, self.stored_by(first) - second.t)
            if gap < self.window() - self.slack - self.stalled(first.t, first.t + gap):
                found.add((second.call,))
        return found

    def stored_by(self, invoke: Record) -> int:
        done = self.outcome(invoke)
        if done is not None and self.is_ok(invoke):
            return done.t
        return min(r.t for r in self.kind("deliver", "dead") if r.call == invoke.call)

    def c6(self) -> Occurrences:
        found: Occurrences = set()
        for second in self.calls():
            done = self.outcome(second)
            if done is None or not self.is_duplicate(second):
                continue
            away = self.outages()
            earlier = [c for c in self.siblings(second, "topic") if c.i < done.i and not self.is_rejected(c)]
            ends = [self.outcome(c) for c in earlier]
            if all(e is not None and e.kind == "publish.ok" for e in ends) and all(
                second.t - e.t - sum(max(0, min(b.t, done.t) - max(a.t, e.t)) for a, b in away)
                > self.window() + self.slack
                for e in ends
                if e is not None
            ):
                found.add((second.call,))
        return found

    def c10(self) -> Occurrences:
        return {(copy[0].group, copy[0].call, copy[0].position) for copy, _, _ in self.redelivered()}

    def confirmed(self, invoke: Record) -> int | None:
        """When the call's own copy was surely stored."""
        done = self.outcome(invoke)
        if done is not None and done.kind == "publish.ok":
            return None if done.duplicate else done.i
        if self.is_rejected(invoke):
            return None
        twins = [c for c in self.calls() if c.event == invoke.event and c.call != invoke.call]
        for later in twins:
            answer = self.outcome(later)
            if later.i > invoke.i and answer is not None and self.is_duplicate(later):
                other = [
                    c
                    for c in twins
                    if not self.is_rejected(c) and not self.is_duplicate(c) and c.i < answer.i
                ]
                return None if other else answer.i
        return None

    def surely_before(self, d2: Record, d1: Record) -> bool:
        """Whether d2 was handed out before d1, as far as sessions let one tell."""
        asked = [r for r in self.kind("next.invoke") if r.session == d1.session and r.i < d1.i][-1]
        return d2.i < (d1.i if d2.session == d1.session else asked.i)

    def reordered(self, *, whole: bool) -> Occurrences:
        found: Occurrences = set()
        for group in self.groups():
            firsts: list[Record] = []
            for d in self.deliveries(group.name):
                if (d.key or whole) and not any(
                    f.event == d.event and (whole or f.key == d.key) for f in firsts
                ):
                    firsts.append(d)
            for d1 in firsts:
                ok = self.confirmed(self.call(d1.call))
                behind = [d2 for d2 in firsts if d2.event != d1.event and (whole or d1.key == d2.key)]
                if ok is not None and any(
                    ok < self.call(d2.call).i and self.surely_before(d2, d1) for d2 in behind
                ):
                    found.add((group.name, d1.call))
        return found

    def d1(self) -> Occurrences:
        return self.reordered(whole=False)

    def d3(self) -> Occurrences:
        return self.reordered(whole=True)

    def d2(self) -> Occurrences:
        found: Occurrences = set()
        for group in self.groups():
            copies = self.copies(group.name)
            for mine in copies:
                for d in mine:
                    for other in copies:
                        if other is mine or not d.key or other[0].key != d.key or other[0].i > mine[0].i:
                            continue
                        if not self.possibly_settled(other, d):
                            found.add((d.i,))
        return found

    def e3(self) -> Occurrences:
        found: Occurrences = set()
        for copy, previous, again in self.redelivered():
            nacks = [(r, c) for v, r, c in self.acts(previous) if v == "nack" and self.how(c) != "rejected"]
            nacks = [(r, c) for r, c in nacks if r.i < again.i]
            if not nacks or self.how(nacks[0][1]) != "ok":
                continue
            nack = nacks[0][0]
            if self.let_go(previous, nack) is not False:
                continue
            older = copy[: copy.index(previous)]
            stale = [
                r for d in older for v, r, c in self.acts(d) if v == "nack" and self.how(c) != "rejected"
            ]
            if any(previous.i < r.i < again.i for r in stale):
                continue
            if self.delay_excused(previous, nack, again):
                continue
            policy = next(g for g in self.groups() if g.name == again.group).policy
            attempt = previous.attempt or copy.index(previous) + 1
            delay = int((policy.delay_after(attempt) if nack.delay < 0 else nack.delay) * NS)
            if delay and again.t - nack.t < delay - self.slack - self.stalled(nack.t, again.t):
                found.add((again.i,))
        return found

    def delay_excused(self, previous: Record, nack: Record, again: Record) -> bool:
        survives = self.claims.survives.delays
        if self.claims.backoff != "durable" and "consumer-loss" not in survives:
            cuts = [
                r
                for r in self.kind("link.cut", "consumer.killing")
                if r.process == self.process(previous.session) and r.i > nack.i
            ]
            if any(r.i < again.i for r in self.session_ends(previous.session) + cuts):
                return True
        broken = (
            self.kills_not_survived(survives) if survives else self.kind("broker.killed", "broker.paused")
        )
        return any(nack.i < r.i < again.i for r in broken)

    def f1(self) -> Occurrences:
        found: Occurrences = set()
        for at in self.kind("deliver"):
            limit = next(g for g in self.groups() if g.name == at.group).policy.max_in_flight
            mine = [d for d in self.kind("deliver") if d.session == at.session and d.i < at.i]
            copy = next(c for c in self.copies(at.group) if at in c)
            itself = not self.possibly_settled(copy, at)
            if itself and len([d for d in mine if self.holds(d, at)]) + 1 > limit:
                found.add((at.i,))
        return found

    def holds(self, d: Record, at: Record) -> bool:
        copy = next(c for c in self.copies(d.group) if d in c)
        for verb, invoke, done in self.acts(d):
            if (
                verb == "nack"
                and invoke.i < at.i
                and (self.how(done) != "rejected" or (done and done.i > at.i))
            ):
                return False
        return self.let_go(d, at) is False and not self.possibly_settled(copy, at)
