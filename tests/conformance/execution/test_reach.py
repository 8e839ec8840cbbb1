"""A participant's connection that does not come about: whose fault that is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eventproof.adapters.errors import Unreachable
from eventproof.conformance.execution.recovery import Recovery
from eventproof.conformance.execution.run import Run, Site
from eventproof.conformance.execution.weather import Weather
from eventproof.conformance.scenario import Scenario
from eventproof.conformance.targets.facilities import facilities
from tests.conformance.execution.simulated import virtually

SECOND = 1_000_000_000


def run() -> Run:
    can = facilities(None)
    site = Site(connect=cast("Any", None), claims=cast("Any", None), facilities=can)
    return Run(Scenario(), site, "n", Weather(Recovery(can)))


@pytest.mark.parametrize(
    ("stalls", "again"), [((SECOND,), True), ((SECOND // 2, SECOND // 2), True), ((SECOND // 2,), False)]
)
def test_it_is_tried_again_if_the_suite_itself_stood_still(stalls: tuple[int, ...], *, again: bool) -> None:
    async def story() -> None:
        on, tries = run(), []

        @asynccontextmanager
        async def reach() -> AsyncIterator[SimpleNamespace]:
            tries.append(1)
            if len(tries) == 1:
                for stall in stalls:
                    on.record.stall(stall)
                raise Unreachable("it took too long")
            yield SimpleNamespace()

        async with AsyncExitStack() as stack:
            if again:
                await on.reached(stack, reach)
            else:
                with pytest.raises(Unreachable):
                    await on.reached(stack, reach)
        assert len(tries) == 1 + again

    virtually(story)
