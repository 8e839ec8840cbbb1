"""What a NATS server that is not ours allows, asked before the first write.

Nothing is made, and of other people's streams nothing is asked but the names of those whose subjects overlap
with our own. A permission is tried with a request that the server refuses as malformed, whatever there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from eventproof.adapters.errors import EventproofError, Indeterminate, Rejected
from eventproof.adapters.nats import api
from eventproof.adapters.nats.link import Link, NoAnswer
from eventproof.adapters.nats.permissions import permissions
from eventproof.conformance.targets.visit import Demand, NotReady, Terms, Visit

OLDEST: Final = (2, 10)  # subject transforms with partition(), several filters of a consumer, metadata
READERS: Final = 1  # consumers beside those of groups: one reads the log
MINUTE: Final = 60
NAMED: Final = 3  # streams named in an error
SHARED: Final = "# `*` is any stream of the account: an account of its own is better"
NO_JETSTREAM: Final = (10039, 10076)  # of the account, of the server
NAMES: Final = "$JS.API.STREAM.NAMES"
MALFORMED: Final = b'"preflight"'


class Limits(msgspec.Struct, frozen=True):
    """Of an account; -1 is none. max_consumers: of one stream."""

    max_storage: int = -1
    max_streams: int = -1
    max_consumers: int = -1
    max_bytes_required: bool = False


class Tier(msgspec.Struct, frozen=True):
    """What an account has used, and what it may."""

    storage: int = 0
    reserved_storage: int = 0
    streams: int = 0
    limits: Limits = Limits()


class Account(api.Reply, frozen=True):
    storage: int = 0
    reserved_storage: int = 0
    streams: int = 0
    limits: Limits = Limits()
    tiers: Mapping[str, Tier] = {}

    @property
    def tier(self) -> Tier:
        """For streams that one server keeps. Raises NotReady if the account may have none."""
        if not self.tiers:
            return Tier(self.storage, self.reserved_storage, self.streams, self.limits)
        if "R1" not in self.tiers:
            raise NotReady("the account may have no streams with one replica: use one that may")
        return self.tiers["R1"]


class Names(api.Reply, frozen=True):
    total: int = 0
    streams: list[str] | None = None


async def preflight(link: Link, visit: Visit, demand: Demand, inbox: str, expiry: float) -> Terms:
    """Raises NotReady with what to do, and what a request raises. expiry: seconds that events are kept."""
    _check_version(link)
    try:
        found = await overlapping(link)
    except (Indeterminate, Rejected) as problem:
        raise explained(problem, link, NAMES, inbox) from problem
    check_subjects(link.prefix, found)  # first of all: the rest sends to subjects of the namespace
    await _check_permissions(link, inbox)
    at_once, notes = _fitting((await api.call(link, "INFO", Account)).tier, visit, demand)
    return Terms(
        at_once=at_once,
        notes=notes,
        creates=_creates(link.prefix, inbox, at_once, demand, expiry),
        permissions=f"{SHARED}\n{permissions('suite', prefix=link.prefix, inbox=inbox)}",
    )


async def overlapping(link: Link) -> list[str]:
    """Names of the streams, of whomever, that take subjects of the namespace. Raises as `api.call` does."""
    found: list[str] = []
    while True:
        body = msgspec.json.encode({"subject": f"{link.prefix}.>", "offset": len(found)})
        page = msgspec.json.decode((await link.request(NAMES, body)).data, type=Names)
        if page.error is not None and page.error.err_code in NO_JETSTREAM:
            return []
        if page.error is not None:
            raise api.refusal(page.error)
        found += page.streams or []
        if not page.streams or len(found) >= page.total:
            return found


def _check_version(link: Link) -> None:
    version = link.client.connected_server_version
    if (version.major, version.minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise NotReady(
            f"the server is NATS {version.major}.{version.minor}.{version.patch}: use {oldest} or newer"
        )


async def _check_permissions(link: Link, inbox: str) -> None:
    stream = f"{link.prefix}~preflight"
    subjects = [
        *(f"$JS.API.STREAM.{verb}.{stream}" for verb in ("CREATE", "INFO", "DELETE")),
        *(f"$JS.API.CONSUMER.{verb}.{stream}.preflight" for verb in ("CREATE", "INFO", "MSG.NEXT")),
        f"$JS.ACK.{stream}.preflight.1.1.1.1.0",
        f"{link.prefix}.preflight.key.type",
    ]
    answered = await asyncio.gather(*(_answered(link, subject) for subject in subjects))
    denied = [subject for subject, answer in zip(subjects, answered, strict=True) if not answer]
    if denied:
        raise NotReady(f"the user may not publish to {', '.join(denied)}: {_cure(link.prefix, inbox)}")


async def _answered(link: Link, subject: str) -> bool:
    """Whether the server took the request: it answers, or says at once that nobody serves it."""
    try:
        await link.request(subject, MALFORMED)
    except NoAnswer:
        return True
    except Indeterminate:
        return False
    except Rejected as refused:
        return refused.kind != "forbidden"
    return True


def _cure(prefix: str, inbox: str) -> str:
    return (
        "allow the user what this prints, and give the same --namespace to each run: "
        f"eventproof permissions nats --namespace {prefix} --inbox {inbox}"
    )


def check_subjects(prefix: str, found: Sequence[str]) -> None:
    ours = [name for name in found if name.startswith(f"{prefix}~")]
    if theirs := sorted(set(found) - set(ours)):
        raise NotReady(
            f"the subjects {prefix}.> overlap with those of the stream {_few(theirs)}: give another "
            "--namespace, or use an account of its own"
        )
    if ours:
        raise NotReady(
            f"an earlier run left {len(ours)} streams of the namespace {prefix}: run eventproof cleanup "
            "with the manifest in its report folder, or give another --namespace"
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _fitting(tier: Tier, visit: Visit, demand: Demand) -> tuple[int, tuple[str, ...]]:
    """How many scenarios fit side by side, and why not more. Raises NotReady if none does."""
    limits, caps = tier.limits, visit.caps
    if limits.max_bytes_required:
        raise NotReady(
            "the account wants a size for each stream, and topics have none: use one that does not"
        )
    consumers = demand.crowd + READERS
    if 0 <= limits.max_consumers < consumers:
        raise NotReady(
            f"a stream of the account may have {limits.max_consumers} consumers, and the run needs "
            f"{consumers}: use an account that may"
        )
    free = limits.max_storage - max(tier.storage, tier.reserved_storage)
    if limits.max_storage >= 0 and free < caps.max_bytes:
        raise NotReady(
            f"the account has {max(free, 0)} bytes left, and the run may store {caps.max_bytes}: "
            "free some, or give a smaller --max-bytes"
        )
    if limits.max_streams < 0:
        return caps.at_once, ()
    room = limits.max_streams - tier.streams
    fit = min(caps.at_once, room // demand.topics)
    if fit < 1:
        raise NotReady(
            f"the account may have {max(room, 0)} more streams, and a scenario needs {demand.topics}: "
            "free some, or use another account"
        )
    if fit == caps.at_once:
        return fit, ()
    return fit, (f"{fit} scenarios at once, not {caps.at_once}: the account may have {room} more streams",)


def _creates(prefix: str, inbox: str, at_once: int, demand: Demand, expiry: float) -> tuple[str, ...]:
    consumers = (demand.lanes + READERS * demand.topics) * at_once
    return (
        f"up to {demand.topics * at_once} streams at once: {prefix}~*",
        f"up to {consumers} consumers at once, on these streams alone",
        f"subjects {prefix}.>",
        f"answers on {inbox}.>",
        f"what a crash leaves holds no event or consumer after {expiry / MINUTE:g} minutes",
    )


def explained(problem: EventproofError, link: Link, subject: str, inbox: str) -> EventproofError:
    """The same, or what to do about it if the server did not let us ask on the subject."""
    refused = str(link.client.last_error or "").casefold()
    if "permissions violation" not in refused:
        return problem
    denied = f"subscribe to {inbox}.>" if "subscription" in refused else f"publish to {subject}"
    return NotReady(f"the user may not {denied}: {_cure(link.prefix, inbox)}")
