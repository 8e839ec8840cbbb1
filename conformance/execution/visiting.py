"""A run on a server that is not ours: looked at before the first write, left as it was found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from eventproof.conformance.foreign import foreign
from eventproof.conformance.manifest import Header, Manifest
from eventproof.conformance.plugin import Plugin
from eventproof.conformance.targets.facilities import Facilities
from eventproof.conformance.targets.guard import LeftBehind, check
from eventproof.conformance.targets.visit import Demand, Terms, Visit

UNKNOWN = "the adapter's target has no preflight: what the server allows is not known before the run"
STAYS = "the adapter's target cannot remove topics: those that the manifest lists stay on the server"


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """A visit and what it writes down. demand: of the scenario that takes most."""

    visit: Visit
    demand: Demand
    header: Header
    manifest: Manifest


@asynccontextmanager
async def attached(plugin: Plugin, visit: Visit) -> AsyncIterator[str]:
    """Attach to the server, and write nothing; gives the URL to connect to."""
    offered = plugin.facilities
    entered = offered.start(visit.url) if offered.visit is None else offered.visit(visit)
    async with entered as address:
        yield address


async def preflight(offered: Facilities, visit: Visit, demand: Demand) -> Terms:
    """What is known of the server before the first write. Raises NotReady."""
    if offered.preflight is not None:
        terms = await offered.preflight(visit, demand)
    else:
        terms = Terms(at_once=visit.caps.at_once, notes=(UNKNOWN,), creates=_creates(visit, demand))
    if offered.remove is None:
        terms = msgspec.structs.replace(terms, notes=(*terms.notes, STAYS))
    return terms


def _creates(visit: Visit, demand: Demand) -> tuple[str, ...]:
    return (
        f"up to {demand.topics * visit.caps.at_once} topics at once: {visit.namespace}-*",
        f"groups on them: {visit.namespace}-*",
    )


async def surveyed(plugin: Plugin, guest: Guest) -> Terms:
    """The preflight alone. Raises NotReady, ForeignError, and what the adapter raises."""
    with foreign(f"{plugin.name} cannot be reached"):
        async with attached(plugin, guest.visit) as address:
            offered = plugin.facilities
            async with plugin.connect(address, **{**guest.visit.options, **offered.options}):
                return await preflight(offered, guest.visit, guest.demand)


class Removed(msgspec.Struct, frozen=True):
    """topics: that were there and were removed. others: of the namespace, that were not to be removed."""

    topics: tuple[str, ...]
    others: tuple[str, ...]


async def clean(plugin: Plugin, visit: Visit, topics: Sequence[str]) -> Removed:
    """Remove these topics of the visit's namespace, as far as they are there.

    Raises LeftBehind if the target cannot, OutsideNamespace, ForeignError, and what the target raises.
    """
    with foreign(f"{plugin.name} cannot be cleaned up"):
        async with attached(plugin, visit):
            offered = plugin.facilities
            if offered.remove is None:
                raise LeftBehind(f"the target of {plugin.name} cannot remove topics: remove them by hand")
            present = topics if offered.present is None else await offered.present()
            listed = [topic for topic in topics if topic in set(present)]
            check(visit.namespace, listed)
            await offered.remove(listed)
            return Removed(tuple(listed), tuple(sorted(set(present) - set(topics))))
