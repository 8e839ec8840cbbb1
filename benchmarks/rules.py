"""How fast histories are loaded and judged: `python benchmarks/rules.py [--sizes N ...] [--profile]`."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import tempfile
import time
from pathlib import Path

from eventproof.adapters.claims import Attempts, Claims, Deduplication, Ordering, Redelivery
from eventproof.adapters.policy import Policy
from eventproof.conformance.history.files import load, save
from eventproof.conformance.history.record import GroupInfo, Header, History, Record, TopicInfo
from eventproof.conformance.rules.judge import judge

CLAIMS = Claims(
    loss="never",
    duplicates="permitted",
    ordering=Ordering(scope="key", strictness="settled", publish="pipelined"),
    groups="durable",
    isolation="partition",
    ack="confirmed",
    fencing="clock",
    redelivery=Redelivery(nack=True, lease_end=True, consumer_loss=True),
    backoff="session",
    attempts=Attempts(never_low=True),
    dead_letter="one-without-faults",
    positions=True,
    publish_dedup=Deduplication(scope="topic", window=120.0),
)
POLICY = Policy(max_attempts=5, dead_letter="dead")


def generate(size: int, *, keys: int = 100, nacked: float = 0.05) -> History:
    """A correct history of about `size` records: each event published, handed out and acked, some twice."""
    header = Header(
        claims=CLAIMS,
        topics=[TopicInfo(name="t", partitions=8, window=120.0)],
        groups=[GroupInfo(name="g", topic="t", policy=POLICY)],
    )
    records: list[Record] = []
    draw, clock = random.Random(size), 0

    def record(kind: str, **fields: object) -> None:
        nonlocal clock
        clock += 50_000
        records.append(Record(i=len(records) + 1, t=clock, kind=kind, **fields))  # type: ignore[arg-type]

    record("subscribe.invoke", process="c", session=1, topic="t", group="g")
    record("subscribe.ok", session=1)
    delivery = call = 0
    while len(records) < size - 8:
        call += 1
        key = f"k{draw.randrange(keys)}"
        partition = hash(key) % 8
        about = {"topic": "t", "call": call, "event": f"s {call}", "type": "a.b", "key": key, "digest": "d"}
        record("publish.invoke", process="p", **about)
        record("publish.ok", call=call, position=str(call), partition=partition, duplicate=False)
        attempts = 2 if draw.random() < nacked else 1
        for attempt in range(1, attempts + 1):
            delivery += 1
            placed = {"position": str(call), "partition": partition, "attempt": attempt}
            record("next.invoke", session=1)
            record("deliver", process="c", session=1, group="g", delivery=delivery, **about, **placed)
            verb, delay = ("ack", {}) if attempt == attempts else ("nack", {"delay": 0.0})
            record(f"{verb}.invoke", delivery=delivery, **delay)
            record(f"{verb}.ok", delivery=delivery)
    counters = dict.fromkeys(("pending", "in_flight", "pending_again", "in_flight_again"), 0)
    proof = {**counters, "last": call, "last_again": call, "gap_ns": 10**12}
    record("drained", topic="t", group="g", numbers=proof)
    record("end")
    return History(header, records)


def measure(size: int, folder: Path) -> None:
    """Print one line for one size."""
    path = folder / f"{size}.jsonl"
    save(generate(size), path)
    start = time.perf_counter()
    loaded = load(path)
    count = len(loaded.records)
    read = time.perf_counter()
    findings = judge(loaded)
    done = time.perf_counter()
    broken = [f.code for f in findings if f.count and f.code != "C10"]
    loading, judging = count / (read - start), count / (done - read)
    print(
        f"{count:>9,} records   load {loading:>9,.0f}/s   judge {judging:>9,.0f}/s"
        f"   {1e6 / judging:5.2f} us a record   found {broken or 'nothing'}"
    )


def main() -> None:
    """Measure each size, or profile the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--profile", action="store_true", help="profile the judging of the last size")
    options = parser.parse_args()
    if options.profile:
        history = generate(options.sizes[-1])
        with cProfile.Profile() as profile:
            judge(history)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        return
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            measure(size, Path(folder))


if __name__ == "__main__":
    main()
