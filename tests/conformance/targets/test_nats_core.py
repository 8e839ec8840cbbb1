"""Core NATS under test, on a real server: what it claims holds, what it does not claim is found broken."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from eventproof.adapters.claims import Claims
from eventproof.adapters.nats import naming
from eventproof.conformance import suite
from eventproof.conformance.fitting import fit
from eventproof.conformance.plugin import ours
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Act, Behaviour, Group, Policy, Publish, Scenario
from eventproof.conformance.strategies import generate
from eventproof.conformance.suite import Plan
from eventproof.conformance.targets.nats_core import CoreNatsTarget
from eventproof.conformance.targets.natsserver import NatsServer
from tests.conformance.brokers import broken, judged, run

CLAIMED = {"PUB-001", "DLV-002", "DLV-003", "DLV-007", "DLV-011", "FLW-001", "FLW-002", "ADP-001"}


AWAY = Scenario(
    publishers=((Publish(call=1, event=1), Publish(call=2, event=2, after=2)),),
    groups=(Group(policy=Policy(start="latest")),),
    behaviours=(Behaviour(group=0, call=1, acts=(Act(do="leave", ticks=6),)),),
)


def never_loses(own: Claims) -> Claims:
    return msgspec.structs.replace(own, loss="never")


class Quiet:
    """Follows a run and says nothing."""

    def phase(self, text: str, steps: int) -> None: ...

    def step(self) -> None: ...


def test_what_core_nats_claims_holds_and_core_is_partial_by_design(tmp_path: Path) -> None:
    plan = Plan(plugin=ours("nats-core"), count=48, profiles=("core", "ordered"), folder=tmp_path)
    found = suite.run(plan, Quiet())
    states = {verdict.requirement: verdict.state for verdict in found.verdicts}
    assert not set(states.values()) & {"fail", "hang", "not checked"}
    assert {requirement for requirement, state in states.items() if state == "pass"} >= CLAIMED
    assert states["GRP-002"] == states["PUB-003"] == states["DLV-001"] == "not claimed"
    assert found.profiles == {"core": "partial", "ordered": "not claimed"}
    assert found.reasons["core"].startswith("loss=never is not claimed: the broker may lose events")
    assert found.counts.unproven == found.counts.indeterminate == found.counts.redeliveries == 0
    assert found.counts.deliveries > found.counts.publishes / 2


def test_who_believes_that_nothing_is_lost_is_proven_wrong_in_three_operations() -> None:
    """A member that is away for a moment misses what is published meanwhile."""
    assert AWAY.operations == 3
    drawn = [fit(scenario, Claims()) for scenario in generate(24, 1)]
    histories = run([AWAY, *drawn], ours("nats-core"), never_loses)
    assert broken(histories).items() >= {("DLV-001", "fail"), ("DUR-003", "fail")}
    lost = next(finding for finding in judge(histories[0]) if finding.code == "B2")
    assert [violation.calls for violation in lost.violations] == [(2,)]


def test_members_that_are_no_queue_group_are_caught_as_handing_out_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plain subscriptions: the server gives an event to every member."""
    monkeypatch.setattr(naming, "queue", lambda group: "")
    found = judged(run([fit(scenario, Claims()) for scenario in generate(16, 1)], ours("nats-core")))
    wrong = {name: verdict.anomalies for name, verdict in found.items() if verdict.state == "fail"}
    assert wrong == {"DLV-007": ("C10",), "DLV-004": ("C1",)}


def test_a_given_server_is_used_and_left_running() -> None:
    async def story() -> None:
        server = NatsServer()
        try:
            await server.start()
            target = CoreNatsTarget()
            for url in (server.url, server.url.replace("nats:", "nats+core:")):
                async with target.start(url) as given:
                    assert given == url
                    assert target.versions()["nats-server"].count(".") == 2
            assert server.pid is not None
        finally:
            await server.remove()

    asyncio.run(story())
