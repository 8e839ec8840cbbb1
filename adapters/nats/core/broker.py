"""A connection to core NATS as `eventproof.adapters.port.Broker`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from eventproof.adapters.claims import Claims
from eventproof.adapters.errors import Unsupported
from eventproof.adapters.nats import naming
from eventproof.adapters.nats.content import encode
from eventproof.adapters.nats.core.claims import claims
from eventproof.adapters.nats.core.session import Session
from eventproof.adapters.nats.link import Link, open_link
from eventproof.adapters.nats.options import options as parse
from eventproof.adapters.nats.publish import max_event
from eventproof.adapters.policy import Policy
from eventproof.adapters.port import DEFAULT_POLICY, Receipt
from eventproof.schemas.event import Event

SCHEME: Final = "nats+core://"


class CoreBroker:
    """One participant. A topic is a name: there is nothing to provision."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.claims: Claims = claims(max_event(link))

    async def publish(self, topic: str, event: Event) -> Receipt:
        """Returns once the server has the event, whoever is there to get it.

        Raises Rejected (`too-large`, `invalid`, `forbidden`, `closed`), Indeterminate.
        """
        content = encode(event, self._link.mode, max_event(self._link))
        subject = naming.subject(self._link.prefix, topic, event)
        await self._link.tell(subject, content.body, dict(content.headers))
        return Receipt(duplicate=False)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, group: str, policy: Policy = DEFAULT_POLICY
    ) -> AsyncIterator[Session]:
        """Raises Unsupported for a start at `earliest` and for dead letters, Rejected (`invalid`, `closed`),
        Indeterminate. The policy is this member's own: nobody compares it with that of others."""
        check(policy)
        session = Session(self._link, group, policy)
        try:
            await session.open(topic)
            yield session
        finally:
            await session.close()


def check(policy: Policy) -> None:
    """Raises Unsupported if the policy asks for what core NATS cannot keep (ADP-005)."""
    if policy.start == "earliest":
        raise Unsupported(
            "core NATS stores nothing that a group could start with: give the policy start='latest', or"
            " connect to nats:// for JetStream"
        )
    if policy.dead_letter is not None:
        raise Unsupported(
            "core NATS delivers nothing again and has no dead letters: leave max_attempts and dead_letter"
            " out of the policy, or connect to nats:// for JetStream"
        )


@asynccontextmanager
async def connect(url: str = f"{SCHEME}127.0.0.1:4222", **options: Any) -> AsyncIterator[CoreBroker]:
    """Open one participant's connection; `eventproof.adapters.nats.Options` has the options, of which
    `prefix` is `eventproof-core` by default. Raises InvalidOption, and Unreachable when no server answers."""
    configured = parse({"prefix": naming.CORE_PREFIX, **options})
    async with open_link(url.replace(SCHEME, "nats://", 1), configured) as link:
        yield CoreBroker(link)
