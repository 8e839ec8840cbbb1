"""From findings to verdicts and profile states."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventproof import spec
from eventproof.adapters.claims import Claims, Ordering, Redelivery, Survives
from eventproof.conformance.profiles import LESS, PROFILES, profile_reasons, profile_states
from eventproof.conformance.rules.rule import Finding, Under, Violation
from eventproof.conformance.verdict import KEPT, SEEN_BY_LOG, Means, Total, Verdict, totals, verdicts
from eventproof.spec import Requirement, requirements
from eventproof.spec import requirement as requirement_of
from tests.conformance.brokers import judged
from tests.conformance.histories import STRONG, Story, policy

CLAIMED = {"loss": ("never",)}
ALL = msgspec.structs.replace(STRONG, survives=Survives(messages=("broker-kill",)))


def requirement(**changes: Any) -> Requirement:
    """A requirement of one rule, sampled, with an exercise minimum of 20."""
    example = next(one for one in requirements if one.id == "DLV-001")
    fields = {
        "id": "XXX-001",
        "when": {},
        "anomalies": ("B2",),
        "exercise": 20,
        "verify": "sampled",
        **changes,
    }
    return msgspec.structs.replace(example, **fields)


FAULTY = requirement(verify="fault", faults=("broker-kill", "in-flight"))


def judge_one(
    one: Requirement,
    claims: Claims = STRONG,
    lacking: frozenset[str] = frozenset(),
    faults: frozenset[str] = frozenset(),
    **found: Total,
) -> Verdict:
    return verdicts([one], claims, found, Means(lacking, faults))[0]


def total(exercised: int = 0, count: int = 0, void: int = 0, **under: tuple[int, int]) -> Total:
    """under: by fault, what was exercised and violated with it in between."""
    violation = Violation(code="X", message="Wrong.", faults=tuple(name.replace("_", "-") for name in under))
    parts = {name.replace("_", "-"): Under(*numbers) for name, numbers in under.items()}
    shown = [(3, violation)] * min(count, KEPT)
    return Total(exercised=exercised, count=count, void=void, shown=shown, under=parts)


# the order of judging


def test_cnf_001_a_violation_decides_whatever_else_was_seen() -> None:
    verdict = judge_one(requirement(anomalies=("B2", "L1")), B2=total(0, 1), L1=total(0, 1))
    assert verdict.state == "fail"
    assert verdict.anomalies == ("B2", "L1")
    assert verdict.violations == 2
    assert verdict.scenarios == (3,)


def test_cnf_001_a_violation_decides_though_a_facility_is_missing_or_it_needs_faults() -> None:
    log = judge_one(requirement(anomalies=("C4",)), lacking=frozenset({"read_log"}), C4=total(0, 1))
    fault = judge_one(FAULTY, B2=total(50, 1, broker_kill=(5, 1)))
    assert (log.state, fault.state) == ("fail", "fail")


@pytest.mark.parametrize("code", ["L1", "L2"])
def test_cnf_002_a_hang_comes_before_exercise(code: str) -> None:
    assert judge_one(requirement(anomalies=(code,)), **{code: total(0, 1)}).state == "hang"
    assert judge_one(requirement(anomalies=(code,)), **{code: total(500, 1)}).state == "hang"


@pytest.mark.parametrize(("exercised", "state"), [(0, "inconclusive"), (19, "inconclusive"), (20, "pass")])
def test_cnf_003_a_pass_needs_its_exercise(exercised: int, state: str) -> None:
    verdict = judge_one(requirement(), B2=total(exercised))
    assert verdict.state == state
    assert str(exercised) in verdict.evidence


def test_cnf_003_a_rule_that_found_nothing_at_all_is_no_pass() -> None:
    assert judge_one(requirement()).state == "inconclusive"


def test_cnf_003_the_best_exercised_of_several_codes_counts() -> None:
    verdict = judge_one(requirement(anomalies=("B1", "B2")), B1=total(30, void=2), B2=total(1, void=1))
    assert (verdict.state, verdict.exercised, verdict.void) == ("pass", 30, 3)


def test_cnf_006_what_is_not_claimed_is_listed_with_what_was_observed() -> None:
    one = requirement(when=CLAIMED)
    broken = judge_one(one, Claims(), B2=total(9, 2))
    assert (broken.state, broken.evidence, broken.violations) == ("not claimed", "observed: B2", 2)
    assert judge_one(one, Claims()).evidence == "not observed"
    kept = judge_one(one, Claims(), B2=total(9))
    assert (kept.state, kept.evidence) == ("not claimed", "observed: kept 9 times")


def test_cnf_006_every_active_requirement_that_runs_decide_is_listed_once() -> None:
    for claims in (Claims(), STRONG):
        listed = [verdict.requirement for verdict in verdicts(requirements, claims, {}, Means())]
        expected = [r.id for r in requirements if r.status == "active" and set(r.anomalies) - {"H1", "H2"}]
        assert listed == expected
        assert len(listed) > 40
    states = {verdict.state for verdict in verdicts(requirements, Claims(), {}, Means())}
    assert states == {"not claimed", "inconclusive"}


@pytest.mark.parametrize(("code", "facility"), SEEN_BY_LOG.items())
def test_what_needs_a_facility_that_the_target_lacks_is_not_checked(code: str, facility: str) -> None:
    one = requirement(anomalies=(code,))
    verdict = judge_one(one, lacking=frozenset({"read_log", "positions"}), **{code: total(100)})
    assert verdict.state == "not checked"
    assert facility in verdict.evidence
    assert judge_one(one, **{code: total(100)}).state == "pass"


def test_what_needs_faults_is_not_checked_without_them() -> None:
    verdict = judge_one(FAULTY, B2=total(100))
    assert (verdict.state, verdict.evidence) == (
        "not checked",
        "needs --tier fault for broker-kill, in-flight",
    )


KILLS = frozenset({"broker-kill", "in-flight"})


@pytest.mark.parametrize(
    ("parts", "state"),
    [
        ({"broker_kill": (20, 0), "in_flight": (20, 0)}, "pass"),
        ({"broker_kill": (20, 0), "in_flight": (19, 0)}, "inconclusive"),
        ({"broker_kill": (20, 0)}, "inconclusive"),
        ({"broker_kill": (20, 0), "in_flight": (20, 1)}, "fail"),
        ({"broker_kill": (20, 0), "in_flight": (20, 0), "node_loss": (0, 1)}, "pass"),
    ],
)
def test_cnf_014_each_fault_of_a_requirement_has_to_have_met_something(
    parts: dict[str, tuple[int, int]], state: str
) -> None:
    """A kill that met nothing makes it inconclusive, and what no such fault lies in does not count."""
    verdict = judge_one(FAULTY, faults=KILLS, B2=total(100, 1, **parts))
    assert verdict.state == state
    assert verdict.violations == (state == "fail")


def test_of_the_faults_that_claims_can_list_those_are_tried_that_are_claimed() -> None:
    one = requirement(
        verify="fault",
        faults=("broker-kill", "node-loss", "in-flight"),
        when={"survives.messages": ("broker-kill", "node-loss")},
    )
    assert judge_one(one, ALL).faults == ("broker-kill", "in-flight")
    both = msgspec.structs.replace(ALL, survives=Survives(messages=("broker-kill", "node-loss")))
    verdict = judge_one(one, both, faults=KILLS, B2=total(100, 0, broker_kill=(50, 0), in_flight=(50, 0)))
    assert (verdict.state, verdict.evidence) == ("not checked", "needs --tier fault for node-loss")


def test_a_removed_requirement_gets_no_verdict() -> None:
    assert verdicts([requirement(status="removed")], STRONG, {}, Means()) == ()


# totals


def test_totals_add_up_and_keep_the_first_violations() -> None:
    violation = Violation(code="B2", message="Lost.")
    found: dict[str, Total] = {}
    for number in range(1, 31):
        finding = Finding(code="B2", exercised=2, void=1, count=3, violations=(violation,) * 3)
        totals([(number, [finding])], found)
    assert (found["B2"].exercised, found["B2"].void, found["B2"].count) == (60, 30, 90)
    assert len(found["B2"].shown) == KEPT
    assert [number for number, _ in found["B2"].shown[:4]] == [1, 1, 1, 2]


def test_two_totals_do_not_share_what_they_show() -> None:
    first, second = Total(), Total()
    first.add(1, Finding(code="B2", count=1, violations=(Violation(code="B2", message="Lost."),)))
    assert second.shown == []


# profiles


def state(
    *states: str,
    claims: Claims = STRONG,
    profile: str = "core",
    level: str = "MUST",
    faults: tuple[str, ...] = (),
) -> str:
    found = [
        Verdict(
            requirement=f"X-{n}",
            title="",
            level=level,
            profile=profile,
            state=one,
            exercised=0,
            minimum=0,
            faults=faults if one == "not checked" else (),
        )
        for n, one in enumerate(states)
    ]
    return profile_states(found, claims, [profile])[profile]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("pass", "pass"), "conformant"),
        (("pass", "not claimed"), "conformant"),
        (("pass", "inconclusive"), "partial"),
        (("pass", "not checked"), "partial"),
        (("pass", "fail"), "failed"),
        (("pass", "hang"), "failed"),
        (("inconclusive", "not checked", "fail"), "failed"),
    ],
)
def test_cnf_007_a_profile_is_conformant_only_if_each_must_passes(
    states: tuple[str, ...], expected: str
) -> None:
    assert state(*states) == expected
    assert state(*states, level="MUST NOT") == expected


def test_cnf_009_what_lacks_only_faults_says_so() -> None:
    states = ("pass", "not checked", "not claimed")
    assert state(*states, profile="groups", faults=("consumer-loss",)) == "conformant without faults"
    assert state(*states, "inconclusive", profile="groups", faults=("consumer-loss",)) == "partial"
    assert state(*states, "fail", profile="groups", faults=("consumer-loss",)) == "failed"


def test_a_profile_of_which_a_run_can_judge_nothing_is_not_checked() -> None:
    assert state("not checked", "not claimed", claims=ALL, profile="durable") == "not checked"
    assert state("not checked", "inconclusive", claims=ALL, profile="durable") == "partial"
    assert state("not checked", "fail", claims=ALL, profile="durable") == "failed"
    assert state("not checked") == "partial"  # core is never left out
    told = reason("not checked", "not checked", "not claimed", claims=ALL, profile="durable")
    assert told == "because of not checked"
    assert state("not checked", claims=STRONG, profile="durable") == "not claimed"


def test_without_faults_what_outlives_them_is_claimed_and_not_checked() -> None:
    found = {"B2": total(50), "C1": total(50), "C5": total(50), "E1l": total(50), "E3": total(50)}
    survives = Survives(messages=("broker-kill",), acks=("consumer-loss",), dedup=("node-loss",))
    claims = msgspec.structs.replace(STRONG, survives=survives)
    states = {v.requirement: v.state for v in verdicts(requirements, claims, found, Means())}
    checked = {name: state for name, state in states.items() if requirement_of(name).profile == "durable"}
    assert checked == {
        **dict.fromkeys(("DUR-005", "DUR-006", "DUR-007"), "not claimed"),
        **dict.fromkeys(("DUR-004", "DUR-008", "DUR-010", "DUR-011", "DUR-012", "DUR-013"), "not checked"),
    }


@pytest.mark.parametrize("fault", ["", "broker-kill", "power-loss", "node-loss", "all-nodes"])
@pytest.mark.parametrize("survived", ["broker-kill", "power-loss", "node-loss", "all-nodes"])
def test_dur_009_a_fault_counts_as_itself(fault: str, survived: Any) -> None:
    claims = msgspec.structs.replace(STRONG, survives=Survives(messages=(survived,)))
    told = Story(claims, g=policy())
    told.join()
    told.publish("k")
    told.record("broker.killed", reason=fault)
    told.record("broker.ready")
    told.join()
    told.drain()
    expected = "fail" if survived == (fault or "broker-kill") else "not checked"
    assert judged([told.history()])["DUR-004"].state == expected


def test_cnf_007_what_should_be_does_not_count() -> None:
    assert state("fail", "inconclusive", level="SHOULD") == "conformant"


def test_cnf_007_core_is_mandatory_and_partial_where_loss_may_happen() -> None:
    may_lose = msgspec.structs.replace(STRONG, loss="may")
    assert state("pass", claims=may_lose) == "partial"
    assert state("pass", claims=msgspec.structs.replace(STRONG, duplicates="any")) == "partial"
    assert state("fail", claims=may_lose) == "failed"


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "core"])
def test_another_profile_that_is_not_claimed_is_not_claimed(profile: str) -> None:
    assert state("not claimed", claims=Claims(), profile=profile) == "not claimed"
    assert state("pass", claims=ALL, profile=profile) == "conformant"


def reason(*states: str, claims: Claims = STRONG, profile: str = "core") -> str:
    judged = [
        Verdict(
            requirement=f"X-{n}",
            title="",
            level="MUST",
            profile=profile,
            state=one,
            exercised=0,
            minimum=0,
            evidence=f"because of {one}",
        )  # type: ignore[arg-type]
        for n, one in enumerate(states)
    ]
    reached = profile_states(judged, claims, [profile])
    return profile_reasons(judged, claims, reached).get(profile, "")


def test_a_conformant_profile_needs_no_reason() -> None:
    assert reason("pass") == ""
    assert profile_reasons([], STRONG, {"core": "conformant"}) == {}


def test_core_without_its_claims_says_what_that_means_and_what_else_is_missing() -> None:
    lossy = msgspec.structs.replace(STRONG, loss="may")
    assert reason("pass", claims=lossy) == "loss=never is not claimed: the broker may lose events"
    assert reason("inconclusive", claims=lossy).endswith("lose events; inconclusive: X-0")
    assert reason("pass", claims=Claims()).count("is not claimed: ") == 2


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("fail", "pass", "inconclusive"), "fail: X-0"),
        (("hang", "fail"), "fail: X-1; hang: X-0"),
        (("inconclusive", "not checked"), "inconclusive: X-0; not checked: X-1"),
        (("inconclusive",) * 5, "inconclusive: X-0, X-1, X-2 and 2 more"),
    ],
)
def test_a_profile_that_is_not_conformant_names_the_requirements(
    states: tuple[str, ...], expected: str
) -> None:
    assert reason(*states) == expected


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("ordered", "needs ordering.scope=key"),
        ("dedup", "needs publish_dedup.scope=topic or consume_dedup.scope=topic"),
        ("retry", "needs redelivery.nack=true and dead_letter=at-least-one"),
        ("groups", "needs groups=durable"),
        ("durable", "needs survives.messages=broker-kill"),
    ],
)
def test_a_profile_that_is_not_claimed_says_which_claims_it_needs(profile: str, expected: str) -> None:
    assert reason("not claimed", claims=Claims(), profile=profile) == expected


def test_only_the_claims_that_are_missing_are_named() -> None:
    nacks = Claims(redelivery=Redelivery(nack=True))
    assert reason(claims=nacks, profile="retry") == "needs dead_letter=at-least-one"


def test_core_says_of_each_claim_what_its_lack_means() -> None:
    assert set(LESS) == set(PROFILES["core"][0])


def test_either_side_of_deduplication_is_enough_for_its_profile() -> None:
    swapped = msgspec.structs.replace(
        STRONG, publish_dedup=STRONG.consume_dedup, consume_dedup=STRONG.publish_dedup
    )
    assert state("pass", claims=swapped, profile="dedup") == "conformant"


def test_order_alone_does_not_claim_other_profiles() -> None:
    ordered = Claims(ordering=Ordering(scope="key"))
    assert state("pass", claims=ordered, profile="ordered") == "conformant"
    assert state("pass", claims=ordered, profile="retry") == "not claimed"


def test_verdicts_of_other_profiles_do_not_count() -> None:
    found = [
        Verdict(
            requirement="A", title="", level="MUST", profile="core", state="pass", exercised=1, minimum=1
        ),
        Verdict(
            requirement="B", title="", level="MUST", profile="retry", state="fail", exercised=1, minimum=1
        ),
    ]
    assert profile_states(found, STRONG, ["core"]) == {"core": "conformant"}


def test_every_profile_names_claims_that_exist_with_values_that_they_can_have() -> None:
    document = msgspec.to_builtins(Claims())
    for needs in (needs for profile in PROFILES.values() for needs in profile):
        for path, values in needs.items():
            assert values
            for value in values:
                changed: Any = msgspec.json.decode(msgspec.json.encode(document))
                *parents, leaf = path.split(".")
                place = changed
                for name in parents:
                    place = place[name]
                assert leaf in place, path
                place[leaf] = [value] if isinstance(place[leaf], (list, tuple)) else value
                msgspec.convert(changed, Claims)


def test_every_profile_of_a_requirement_that_runs_decide_can_be_selected() -> None:
    decided = {r.profile for r in requirements if r.status == "active" and set(r.anomalies) - {"H1", "H2"}}
    assert decided <= set(PROFILES)


# whole histories


def test_cnf_004_a_malformed_history_is_judged_by_no_other_rule() -> None:
    told = Story()
    told.join()
    told.record("publish.ok", call=99)
    told.record("adapter.error", error="Traceback")
    states = {v.state for v in judged([told.history()]).values()}
    assert states <= {"inconclusive", "not claimed", "not checked"}


def test_cnf_005_what_was_not_drained_is_not_lost() -> None:
    told = Story(g=policy())
    told.join()
    told.publish("k")
    assert judged([told.history()])["DLV-001"].state == "inconclusive"
    told.drain()
    assert judged([told.history()])["DLV-001"].state == "fail"


@pytest.mark.parametrize("isolation", ["none", "topic", "partition", "key"])
def test_red_006_is_not_asked_of_who_has_one_lane(isolation: Any) -> None:
    verdict = judged([Story(msgspec.structs.replace(STRONG, isolation=isolation)).history()])["RED-006"]
    assert verdict.state == ("inconclusive" if isolation in {"partition", "key"} else "not claimed")


def test_the_spec_names_the_claims_that_each_profile_stands_on() -> None:
    text = (Path(next(iter(spec.__path__))) / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \|([^|]*)\|$", text, re.MULTILINE))
    for profile, needs in PROFILES.items():
        named = {
            path
            for path in re.findall(r"`([a-z_.]+)", rows[profile])
            if path.split(".")[0] in Claims.__struct_fields__
        }
        assert named == {path for one in needs for path in one}


@pytest.mark.parametrize(("lane", "binds"), [("key", True), ("partition", True), ("topic", False)])
def test_red_006_one_lane_for_a_topic_promises_nothing_that_could_be_judged(lane: Any, binds: bool) -> None:
    claims = msgspec.to_builtins(msgspec.structs.replace(STRONG, isolation=lane))
    assert requirement_of("RED-006").applies(claims) is binds
