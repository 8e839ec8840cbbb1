"""How fast scenarios are drawn, and run and judged on the memory broker.

    python benchmarks/scenarios.py [--count 1000] [--rounds 5]

Prints scenarios per second (the median of the rounds) and what the scenarios were like.
"""

import argparse
import statistics
import time

from eventproof.conformance import plugin, strategies
from eventproof.conformance.execution.stage import run_on, stage
from eventproof.conformance.rules.judge import judge
from eventproof.conformance.scenario import Scenario


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    drawn, ran = [], []
    for seed in range(given.rounds):
        start = time.perf_counter()
        scenarios = strategies.generate(given.count, seed)
        drawn.append(given.count / (time.perf_counter() - start))
        start = time.perf_counter()
        records = run_and_judge(scenarios)
        ran.append(given.count / (time.perf_counter() - start))
    sizes = [scenario.operations for scenario in scenarios]
    structures = len({strategies.structure(scenario) for scenario in scenarios})
    print(f"drawn           {statistics.median(drawn):8.0f} scenarios/s")
    print(f"run and judged  {statistics.median(ran):8.0f} scenarios/s")
    print(f"records         {records / given.count:8.0f} in the mean")
    print(f"operations      {statistics.median(sizes):8.0f} in the median, {max(sizes)} at most")
    print(f"structures      {structures:8} different ones of {given.count}")


def run_and_judge(scenarios: list[Scenario]) -> int:
    """Run them on the memory broker and judge each history; the number of records."""

    async def work() -> int:
        memory = plugin.ours("memory")
        async with stage(memory, name="bench", url=None, options={}, claims=lambda claims: claims) as on:
            histories = await on.run(scenarios)
        for history in histories:
            judge(history)
        return sum(len(history.records) for history in histories)

    return run_on("virtual", work)


if __name__ == "__main__":
    main()
