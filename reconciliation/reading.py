"""Read Alpaca completely, in the order that loses nothing, and refuse every read that proves nothing.

The order: clock and account → open orders → orders since the cursor less an overlap → each of our orders that can
still change and was not seen, by id → each unconfirmed submit, by client_order_id → the orders of unknown fills
and of replace chains → FILL and other activities → positions. Orders come before positions, so that a fill between
the two shows as a difference and is settled by the second reading.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from broker.errors import BrokerError, NotFound
from broker.gateway import Gateway
from broker.taken_back import without_taken_back
from broker.types import (
    BrokerAccount,
    BrokerActivity,
    BrokerClock,
    BrokerFill,
    BrokerOrder,
    BrokerPosition,
    OrdersPage,
)
from reconciliation import adding_up
from reconciliation.errors import IncompleteRead
from reconciliation.evidence import BrokerEvidence
from reconciliation.evidence_comparison import MOST_SKEW, skew_between
from reconciliation.holdings import read_positions
from reconciliation.list_counts import ListCounts
from reconciliation.reading_plan import ReadingPlan

#: More replacements of one order than this is a broken chain, not a patient trader.
LONGEST_CHAIN = 50
#: More of our orders than this missing from a list are not looked up one by one.
MOST_LEFT_OUT = 20
#: Windows are widened by what the clocks differ, up to this: further apart they measure nothing.
MOST_WIDENING = timedelta(days=1)
#: An exit that waits for its entry may be in none of Alpaca's lists.
UNLISTED_STATUSES = frozenset({"held"})


@dataclass(slots=True)
class Reader:
    """One reading. `note` is told of each step, for people who wait."""

    gateway: Gateway
    plan: ReadingPlan
    note: Callable[[str, int], None]
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    absent_order_ids: set[str] = field(default_factory=set)
    absent_client_order_ids: set[str] = field(default_factory=set)
    fills: dict[str, BrokerFill] = field(default_factory=dict)
    others: list[BrokerActivity] = field(default_factory=list)
    counts: dict[str, object] = field(default_factory=dict)
    began_at: datetime = field(default_factory=timezone.now)
    check_account: Callable[[BrokerAccount], None] = lambda _account: None
    clock_asked_at: datetime | None = None
    clock_answered_at: datetime | None = None
    _under_way: tuple[str, ListCounts] | None = None
    _ended_by_sums: bool = False
    _activities_cursor: str = ""
    _activities_asked_at: datetime = field(default_factory=timezone.now)

    def so_far(self) -> dict[str, object]:
        """What has been read, for the proof of a reading that ended and of one that broke off."""
        found: dict[str, object] = {
            "began_at": self.began_at.isoformat(),
            "ended_at": datetime.now(UTC).isoformat(),
            "lists": {name: facts for name, facts in self.counts.items() if name != "window"},
        }
        if self._under_way:
            name, counts = self._under_way
            found["broken_off"] = {"name": name, **counts.as_facts()}
        return found

    def read(self) -> BrokerEvidence:
        """Return the evidence of one complete read, or raise IncompleteRead."""
        try:
            clock = self._read_clock()
            account = first = self.gateway.get_account()
            self.check_account(account)
            self._read_orders(clock)
            self._take_activities()
            self._read_orders_of_unknown_fills(clock)
            listed, self.fills = self.fills, without_taken_back(self.fills, self.others)
            account, positions = self._read_positions(account)
            self._prove_activities(positions)
        except BrokerError as error:
            raise IncompleteRead(str(error)) from error
        if account.account_id != first.account_id:
            raise IncompleteRead(
                f"Account {first.account_number} answered at first and {account.account_number} later in one reading: "
                "it belongs to neither."
            )
        if order_id := adding_up.left_out_of(self.orders, listed, self.plan.booked, self.plan.activities_after):
            raise IncompleteRead(
                f"Order {order_id} is filled by what is booked of it, but Alpaca's list of activities leaves a part of "
                "it out: the list was incomplete."
            )
        if unfilled := adding_up.filled_and_not(self.orders, self.fills.values()):
            raise IncompleteRead(
                f"Alpaca lists a fill of order {unfilled} and says that the order has none: "
                "the account was moving while it was read."
            )
        return self._evidence(clock, account, positions)

    def _read_clock(self) -> BrokerClock:
        """Windows begin earlier by what the clocks differ, and never after Alpaca's own present."""
        self.clock_asked_at = timezone.now()
        clock = self.gateway.get_clock()
        self.clock_answered_at = timezone.now()
        skew = abs(skew_between(clock.timestamp, self.clock_asked_at, self.clock_answered_at))
        if skew > MOST_SKEW:
            self.plan = replace(
                self.plan,
                orders_after=_earlier(self.plan.orders_after, clock.timestamp, skew),
                activities_after=_earlier(self.plan.activities_after, clock.timestamp, skew),
            )
        return clock

    # --- Orders ---------------------------------------------------------------------------------------------

    def _read_orders(self, clock: BrokerClock) -> None:
        self._take_pages("open_orders", self.gateway.open_orders(is_proven=False))
        listed_open = set(self.orders)
        self._take_pages("orders", self.gateway.orders_since(self.plan.orders_after))
        self.listed = set(self.orders)
        for broker_order_id in sorted((self.plan.working_order_ids | self._left_out()) - self.listed):
            self._take_one(broker_order_id, clock, may_be_absent=True)
        for client_order_id in self.plan.unconfirmed_client_order_ids:
            self._look_up(client_order_id)
        if adding_up.live_and_unlisted(self.orders.values(), listed_open, clock.timestamp, UNLISTED_STATUSES):
            # Perhaps only a status that Alpaca does not count as open; perhaps a list that was cut short.
            self._take_pages("open_orders", self.gateway.open_orders())
        self._follow_chains(clock)

    def _left_out(self) -> frozenset[str]:
        """Orders that we know of that time and the list did not show: it was cut short, or they are gone."""
        left_out = self.plan.listed_order_ids - self.listed
        if len(left_out) > MOST_LEFT_OUT:
            raise IncompleteRead(
                f"Alpaca's list lacks {len(left_out)} of our orders, {min(left_out)} among them: "
                "the list was incomplete, or this is not the account that they were sent to."
            )
        return left_out

    def _take_pages(self, name: str, pages: Iterator[OrdersPage]) -> None:
        counts, proven = self._begin(name), False
        for page in pages:
            counts.pages += 1
            counts.rows += len(page.orders)
            counts.last_cursor = page.cursor or counts.last_cursor
            proven = page.is_last
            self.orders.update((order.broker_order_id, order) for order in page.orders)
            self.note(name, counts.rows)
        if not proven:
            raise IncompleteRead(f"The list of {name.replace('_', ' ')} ended without proof that it was the end.")
        self._end(name, counts)

    def _begin(self, name: str) -> ListCounts:
        counts = ListCounts()
        self._under_way = (name, counts)
        return counts

    def _end(self, name: str, counts: ListCounts) -> None:
        self.counts[name] = counts.as_facts()
        self._under_way = None

    def _take_one(self, broker_order_id: str, clock: BrokerClock, *, may_be_absent: bool) -> None:
        try:
            order = self.gateway.get_order(broker_order_id)
        except NotFound:
            if not may_be_absent:
                raise IncompleteRead(f"Alpaca names order {broker_order_id} but does not show it.") from None
            self.absent_order_ids.add(broker_order_id)
            return
        self._check_listed(order, clock)
        self.orders[order.broker_order_id] = order

    def _check_listed(self, order: BrokerOrder, clock: BrokerClock) -> None:
        """An order inside the window that the list did not show: the list was cut short."""
        after = self.plan.orders_after
        if order.submitted_at is None or order.broker_order_id in self.listed or order.status in UNLISTED_STATUSES:
            return
        if (after is None or order.submitted_at > after) and order.submitted_at < clock.timestamp:
            raise IncompleteRead(
                f"Order {order.broker_order_id} of {order.submitted_at:%Y-%m-%d %H:%M:%S} UTC exists, but the list "
                "of orders of that time did not show it: the list was incomplete."
            )

    def _look_up(self, client_order_id: str) -> None:
        try:
            order = self.gateway.get_order_by_client_id(client_order_id)
        except NotFound:
            self.absent_client_order_ids.add(client_order_id)
        else:
            self.orders[order.broker_order_id] = order

    def _follow_chains(self, clock: BrokerClock) -> None:
        for _hop in range(LONGEST_CHAIN):
            known = set(self.orders) | self.plan.known_order_ids
            wanted = {o.replaced_by for o in self.orders.values() if o.replaced_by} - known
            if not wanted:
                return
            for broker_order_id in sorted(wanted):
                self._take_one(broker_order_id, clock, may_be_absent=False)
        raise IncompleteRead(f"A chain of replaced orders has no end after {LONGEST_CHAIN} steps.")

    # --- Activities -----------------------------------------------------------------------------------------

    def _take_activities(self) -> None:
        counts, proven = self._begin("activities"), False
        after, self._activities_asked_at = self.plan.activities_after, timezone.now()
        for page in self.gateway.activities_since(after, is_end=self._fills_add_up):
            counts.pages += 1
            counts.rows += len(page.fills) + len(page.others)
            counts.last_cursor = page.cursor or counts.last_cursor
            proven = page.is_last
            self.fills.update((fill.activity_id, fill) for fill in page.fills)
            self.others.extend(page.others)
            self.note("activities", counts.rows)
        if not proven:
            raise IncompleteRead("The list of activities ended without proof that it was the end.")
        self._activities_cursor = counts.last_cursor
        self._end("activities", counts)

    def _fills_add_up(self, rows: Sequence[BrokerFill | BrokerActivity]) -> bool:
        """The orders say how much of each is filled: fills that sum up to it are all there are."""
        fills = [*self.fills.values(), *(row for row in rows if isinstance(row, BrokerFill))]
        booked, before = self.plan.booked, self.plan.filled_qtys
        self._ended_by_sums = adding_up.fills_add_up(self.orders.values(), fills, booked, before)
        return self._ended_by_sums

    def _prove_activities(self, positions: Mapping[str, BrokerPosition]) -> None:
        """The fills add up with the orders. Where they do not with the positions, Alpaca is asked for more."""
        booked = self.plan.booked
        if not self._ended_by_sums or adding_up.holdings_add_up(self.plan.held, self.fills.values(), booked, positions):
            return
        after, cursor = self.plan.activities_after, self._activities_cursor
        for page in self.gateway.activities_since(after, cursor, lambda rows: not rows):
            if any(fill.transaction_time < self._activities_asked_at for fill in page.fills):
                raise IncompleteRead("Alpaca's pages contradict each other: the list of activities was cut short.")

    def _read_orders_of_unknown_fills(self, clock: BrokerClock) -> None:
        new = [fill for key, fill in self.fills.items() if key not in self.plan.booked]
        for broker_order_id in sorted({fill.broker_order_id for fill in new} - set(self.orders)):
            self._take_one(broker_order_id, clock, may_be_absent=False)
        # A fill that was taken back is no fill, and its order says what is left of it.
        taken_back = {str(other.raw.get("order_id") or "") for other in self.others} - {""}
        for broker_order_id in sorted(taken_back - set(self.orders) - self.absent_order_ids):
            self._take_one(broker_order_id, clock, may_be_absent=True)
        self._follow_chains(clock)

    def _read_positions(self, account: BrokerAccount) -> tuple[BrokerAccount, dict[str, BrokerPosition]]:
        counts = self._begin("positions")
        account, positions = read_positions(self.gateway, account, self.plan.held)
        self.note("positions", len(positions))
        counts.pages, counts.rows = 1, len(positions)
        self._end("positions", counts)
        return account, positions

    def _evidence(
        self, clock: BrokerClock, account: BrokerAccount, positions: dict[str, BrokerPosition]
    ) -> BrokerEvidence:
        self.counts["orders_by_id"] = {"rows": len(set(self.orders) - self.listed)}
        self.counts["window"] = {
            "orders_after": _spell(self.plan.orders_after),
            "activities_after": _spell(self.plan.activities_after),
            "broker_time": clock.timestamp.isoformat(),
        }
        return BrokerEvidence(
            read_started_at=clock.timestamp,
            account=account,
            clock=clock,
            orders=self.orders,
            absent_order_ids=frozenset(self.absent_order_ids),
            absent_client_order_ids=frozenset(self.absent_client_order_ids),
            fills=self.fills,
            other_activities=tuple(self.others),
            positions=positions,
            orders_after=self.plan.orders_after,
            activities_after=self.plan.activities_after,
            counts=self.counts,
            began_at=self.began_at,
            clock_asked_at=self.clock_asked_at,
            clock_answered_at=self.clock_answered_at,
        )


def _earlier(start: datetime | None, present: datetime, skew: timedelta) -> datetime | None:
    return start and min(start, present) - min(skew, MOST_WIDENING)


def _spell(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
