"""What one session hands out: reserved in good time, given to those who wait, watched until it is settled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final

from eventproof.adapters.errors import LeaseExpired, Rejected, SessionLost
from eventproof.adapters.expiry import expired
from eventproof.adapters.kafka.burials import Burials
from eventproof.adapters.kafka.commits import Account, Committer
from eventproof.adapters.kafka.group import Group
from eventproof.adapters.kafka.intake import Undecodable
from eventproof.adapters.kafka.link import Link
from eventproof.adapters.kafka.membership import Membership
from eventproof.adapters.kafka.settle import HandOut, KafkaDelivery
from eventproof.adapters.kafka.slot import Slot, State
from eventproof.adapters.kafka.timers import Timers
from eventproof.adapters.kafka.waiting import Waiting
from eventproof.schemas.deadletter import Reason

AHEAD: Final = 4  # events reserved beyond those that somebody waits for
UNSURE: Final = 0.05  # seconds between two looks whether the session is sure again of what it owns
LATER: Final = 1.0  # seconds until a dead letter that could not be stored is tried again


class HandOuts:
    """`eventproof.adapters.kafka.settle.Watcher` of all hand-outs of a session.

    room: called when events were taken of those that came in.
    """

    def __init__(
        self,
        link: Link,
        group: Group,
        membership: Membership,
        committer: Committer,
        burials: Burials,
        room: Callable[[], None],
    ) -> None:
        self._link = link
        self._group = group
        self._membership = membership
        self._committer = committer
        self._burials = burials
        self._room_for_more = room
        self._loop = asyncio.get_running_loop()
        self._ended: str | None = None
        self._accounts: deque[Account] = deque()
        self._confirmed: deque[Account] = deque()  # of which something reserved is confirmed
        self._handed: dict[HandOut, None] = {}
        self._waiting = Waiting()
        self._timers = Timers()
        self._asked = 0
        self._ahead = 0  # for a session that nobody asks nothing is reserved
        self._pace = 0
        self._pumping = False
        self._began = False

    async def next(self) -> KafkaDelivery:
        """Raises SessionLost once `end` was called."""
        self._asked += 1
        self._ahead = AHEAD
        try:
            while (delivery := self._hand_out()) is None:
                self._pump()
                await self._waiting.wait()
        finally:
            self._asked -= 1
        return delivery

    def end(self, reason: str) -> None:
        """Hand out nothing more."""
        self._ended = self._ended or reason
        self._timers.close()
        self._waiting.wake_all()

    def open(self, accounts: Iterable[Account]) -> None:
        """Hand out from these partitions too."""
        self._accounts.extend(accounts)

    def stop(self, account: Account) -> list[HandOut]:
        """Hand out nothing more of the partition, and end the leases of what is not being settled: those."""
        for places in (self._accounts, self._confirmed):
            if account in places:
                places.remove(account)
        lost = [hand_out for hand_out in self._handed if hand_out.account is account]
        for hand_out in lost:
            del self._handed[hand_out]
            hand_out.delivery.lose()
        return lost

    def changed(self) -> None:
        """There may be more to reserve, or to hand out."""
        self._pump()
        self._waiting.wake(sum(account.ledger.ahead for account in self._accounts))

    def confirmed(self) -> None:
        """A commit has told of what was reserved until it was sent."""
        self._in_order_of_beginning()
        self._confirmed = deque(account for account in self._accounts if account.ledger.ahead)
        self._accounts.rotate(-1)
        self._waiting.wake(sum(account.ledger.ahead for account in self._confirmed))
        self._pace //= 2

    # out

    def _hand_out(self) -> KafkaDelivery | None:
        """The next delivery, or None if there is none now."""
        if self._ended is not None:
            raise SessionLost(self._ended)
        if not self._membership.sure:
            self._timers.after(UNSURE, self.changed)
            return None
        now = self._loop.time()
        while self._confirmed and self._room() > 0:
            account = self._confirmed[0]
            slot = account.ledger.next_confirmed(now)
            if slot is None:
                self._confirmed.popleft()
                if account.ledger.ahead:  # reserved again, as it had waited too long
                    self._committer.kick()
            elif not self._disposed_of(account, slot):
                return self._deliver(account, slot)
        return None

    def _deliver(self, account: Account, slot: Slot) -> KafkaDelivery:
        self._began = True
        self._pace += 1
        hand_out = HandOut(account, slot, self._group, self)
        self._handed[hand_out] = None
        if self._end_leases not in self._timers:
            self._timers.after(self._group.policy.ack_timeout, self._end_leases)
        return hand_out.delivery

    def _disposed_of(self, account: Account, slot: Slot) -> bool:
        """Whether the event is not to be handed out; it was reserved, which was no attempt."""
        if isinstance(slot.value, Undecodable):
            return self._give_up(account, slot, "undecodable")
        if expired(slot.value):
            slot.lapsed = True
            return self._give_up(account, slot, "expired")
        return False

    def _give_up(self, account: Account, slot: Slot, reason: Reason) -> bool:
        slot.attempt -= 1
        if self._group.dead is None:
            account.ledger.settle(slot, self._loop.time())
            self._committer.kick()
        else:
            account.ledger.give_up(slot)
            self._bury(account, slot, reason)
        return True

    def _room(self) -> int:
        return self._group.policy.max_in_flight - len(self._handed)

    # reserved

    def _pump(self) -> None:
        """Reserve what those who wait take at once, and a little more."""
        if self._ended is not None:
            return
        wanted = min(self._room(), max(self._asked, self._ahead, self._pace))
        wanted -= sum(account.ledger.ahead for account in self._accounts)
        if wanted > 0:
            self._reserve(wanted)

    def _pump_once(self) -> None:
        self._pumping = False
        self._pump()

    def _in_order_of_beginning(self) -> None:
        """Until the first hand-out what was never attempted goes first, for the reason that `Queue` has."""
        if not self._began:
            self._accounts = deque(sorted(self._accounts, key=lambda account: account.ledger.retries_next))

    def _reserve(self, wanted: int) -> None:
        self._in_order_of_beginning()
        now, changed = self._loop.time(), False
        of_each = max(wanted // max(len(self._accounts), 1), 1)
        for _ in range(2 * len(self._accounts)):
            account = self._accounts[0]
            self._accounts.rotate(-1)
            version = account.ledger.version
            wanted -= account.ledger.reserve(min(of_each, wanted), now)
            changed |= account.ledger.version > version
            while account.ledger.exhausted:
                self._bury(account, account.ledger.exhausted.popleft(), "attempts")
            if wanted <= 0:
                break
        if changed:
            self._committer.kick()
        if wanted > 0:
            self._look_again(now)
        self._room_for_more()

    def _look_again(self, now: float) -> None:
        """Once the next event is due."""
        dues = [due for account in self._accounts if (due := account.ledger.next_due) is not None]
        if dues:
            self._timers.after(max(min(dues) - now, 0.0), self.changed)

    # settled

    def told(self, account: Account) -> Awaitable[None]:
        if not self._pumping:  # once for all that are settled at the same time, and before the commit is made
            self._pumping = True
            self._loop.call_soon(self._pump_once)
        return self._committer.told(account)

    def settling(self, hand_out: HandOut) -> None:
        self._handed.pop(hand_out, None)

    def lost(self, hand_out: HandOut) -> None:
        if hand_out in self._handed:
            now = self._loop.time()
            del self._handed[hand_out]
            hand_out.account.ledger.retry(hand_out.slot, now, now)
            self.changed()

    def _end_leases(self) -> None:
        """One timer for all hand-outs."""
        now = self._loop.time()
        for hand_out in [held for held in self._handed if held.until <= now]:
            hand_out.delivery.lose()
        if self._handed:
            self._timers.after(min(held.until for held in self._handed) - now, self._end_leases)

    # given up

    async def bury(self, hand_out: HandOut, reason: Reason, error: str) -> None:
        account, slot = hand_out.account, hand_out.slot
        burial = self._burials.of(slot)
        if burial is None and hand_out.held and self._committer.owns(account):
            self.settling(hand_out)
            account.ledger.give_up(slot)
            ended = partial(self._ended_by, hand_out)
            burial = self._burials.begin(account, slot, reason, error, ended)
        if burial is not None:
            await self._link.within_deadline("dead-lettering", asyncio.shield(burial.outcome))
        elif slot.state is State.SETTLED:
            await self._committer.told(account)
        else:
            raise LeaseExpired("the event was taken back")

    def _bury(self, account: Account, slot: Slot, reason: Reason) -> None:
        """What nobody asked for."""
        self._burials.begin(account, slot, reason, "", partial(self._ended_unasked, account, slot))

    def _ended_by(self, hand_out: HandOut, refused: Rejected | None) -> None:
        """Where a verb was refused, the consumer has the event still, unless its lease is over."""
        account, slot, now = hand_out.account, hand_out.slot, self._loop.time()
        if refused is not None and slot.state is State.DYING and self._committer.owns(account):
            if hand_out.until > now:
                account.ledger.hold(slot)
                self._handed[hand_out] = None
            else:
                account.ledger.retry(slot, now, now)
        self._committer.kick()
        self.changed()

    def _ended_unasked(self, account: Account, slot: Slot, refused: Rejected | None) -> None:
        """Where it was refused, it is tried again later."""
        if refused is not None and slot.state is State.DYING and self._committer.owns(account):
            now = self._loop.time()
            account.ledger.retry(slot, now + LATER, now)
        self._committer.kick()
        self.changed()
