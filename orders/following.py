"""Follow orders at Alpaca until they end and their fills are booked. Ordinary bookkeeping, by sweeps.

Only orders that are in our books and linked are followed; the independent check is reconciliation's.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from broker.errors import BrokerError, NotFound
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from broker.stream_state import is_streamed
from broker.taken_back import without_taken_back
from broker.types import BrokerActivity, BrokerFill, BrokerOrder, OrdersPage
from orders.booking import book_facts
from orders.errors import OrdersError
from orders.lifecycle import SubmissionState, is_terminal
from orders.models import Batch, Order
from orders.patience import until_written
from work import correlation, leases

log = logging.getLogger(__name__)
ACTOR = "system:follow"

MAX_CALLS = 20
_MAX_ORDERS = 500
_SINGLE_ORDERS = 5
_SINGLE_FILLS = 3
_LEASE_SECONDS = 60.0
_YOUNG = timedelta(hours=1)
#: A market order fills within moments: look a few times, then leave it to the sweep.
_PAUSES = (0.0, 0.15, 0.35, 0.5, 0.5)


def follow_orders(*, account_id: int, now: datetime) -> None:
    """One pass over the orders that are due, the longest unasked first, within a bounded number of requests."""
    lease = f"follow:{account_id}"
    if not leases.take(lease, seconds=_LEASE_SECONDS, now=now):
        return
    try:
        due = Order.objects.to_follow(now, is_streamed=is_streamed(account_id, now)).filter(account_id=account_id)
        orders = list(due.order_by(F("followed_at").asc(nulls_first=True), "pk")[:_MAX_ORDERS])
        if orders:
            look(account=Account.objects.get(pk=account_id), orders=orders, now=now)
    finally:
        leases.give_back(lease)


def follow_closely(
    *, batch_id: int, clock: Callable[[], datetime] = timezone.now, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Look at a batch that was just sent, again within moments while a market order of it moves."""
    # The lease shuts nobody out; it shows that the worker, should Alpaca hang, is at something long.
    with leases.holding(f"look:{batch_id}", seconds=_LEASE_SECONDS):
        _follow_closely(batch_id, clock, sleep)


def _follow_closely(batch_id: int, clock: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
    account = Batch.objects.select_related("account").get(pk=batch_id).account
    confirmed = Order.objects.filter(
        batch_id=batch_id, submission_state=SubmissionState.CONFIRMED, is_booked=False
    ).order_by("pk")
    for count, pause in enumerate(_PAUSES):
        sleep(pause)
        orders = list(confirmed.all())  # asked anew each time
        if not orders or (count and not any(map(_is_moving, orders))):
            return
        if not look(account=account, orders=orders, now=clock()):
            return


def _is_moving(order: Order) -> bool:
    if is_terminal(order.status):
        return True  # its fills are not all there yet
    return order.order_type == "market" and order.status in {"pending_new", "new", "partially_filled"}


def look(*, account: Account, orders: Sequence[Order], now: datetime) -> bool:
    """Read state and fills of these orders and book them; False when Alpaca could not be read, or not wholly.

    What cannot be read is noted as asked for, so that the others come first next time: one order whose answer is
    unreadable holds up no other.
    """
    try:
        gateway = open_gateway(account)
    except BrokerError as error:
        log.warning("%s orders could not be followed: %s", len(orders), error)
        return False
    reading = Reading(gateway, now)
    read = book_states(reading, orders, _states(reading, orders), actor=ACTOR)
    _note_asked([order.pk for order in read] + sorted(reading.failed), now)
    return not reading.is_broken


def book_states(
    reading: "Reading", orders: Sequence[Order], states: dict[str, BrokerOrder], *, actor: str
) -> list[Order]:
    """Read the fills that are lacking for these states, book both, and return the orders of which both were read.

    They are returned as they were booked.
    """
    fills = _fills(reading, [o for o in orders if o.broker_order_id in states], states)
    read = [o for o in orders if o.broker_order_id in states and o.pk not in reading.failed]
    for number, order in enumerate(read):
        facts, news = states[order.broker_order_id], fills.get(order.broker_order_id, [])
        book = partial(book_facts, order_id=order.pk, facts=facts, fills=news, now=reading.now, actor=actor)
        try:
            read[number] = until_written(book)
        except (OrdersError, IntegrityError):
            with correlation.carrying(order.correlation_id):
                log.exception("order %s %s: what was read could not be booked", order.pk, order.client_order_id)
    return read


@dataclass
class Reading:
    """One pass over the orders: what is left of it, and what went wrong."""

    gateway: Gateway
    now: datetime
    failed: set[int] = field(default_factory=set)
    is_broken: bool = False
    calls_before: int = field(init=False)

    def __post_init__(self) -> None:
        self.calls_before = self.gateway.calls

    @property
    def has_calls_left(self) -> bool:
        return self.gateway.calls - self.calls_before < MAX_CALLS

    def list_failed(self, error: BrokerError) -> None:
        self.is_broken = True
        log.warning("the list of orders or fills could not be read, so they are asked for one by one: %s", error)

    def order_failed(self, order: Order, error: BrokerError) -> None:
        self.is_broken = True
        self.failed.add(order.pk)
        with correlation.carrying(order.correlation_id):
            log.warning("order %s %s could not be followed: %s", order.pk, order.client_order_id, error)


def _states(reading: Reading, orders: Sequence[Order]) -> dict[str, BrokerOrder]:
    """Ask one by one for a few, by list for many, and one by one again for those that the list did not have."""
    wanted = {order.broker_order_id for order in orders}
    found: dict[str, BrokerOrder] = {}
    if len(wanted) > _SINGLE_ORDERS:
        try:
            for page in _pages(reading, orders):
                found |= {facts.broker_order_id: facts for facts in page.orders if facts.broker_order_id in wanted}
                if wanted <= found.keys() or not reading.has_calls_left:
                    break
        except BrokerError as error:
            reading.list_failed(error)
    for order in orders:
        if order.broker_order_id in found:
            continue
        if not reading.has_calls_left:
            break
        try:
            found[order.broker_order_id] = reading.gateway.get_order(order.broker_order_id)
        except NotFound as error:
            with correlation.carrying(order.correlation_id):
                log.warning("order %s %s is not at Alpaca: %s", order.pk, order.broker_order_id, error)
            reading.failed.add(order.pk)
        except BrokerError as error:
            reading.order_failed(order, error)
            break
    return found


def _pages(reading: Reading, orders: Sequence[Order]) -> Iterator[OrdersPage]:
    if _are_young(orders, reading.now):
        return reading.gateway.orders_since(_earliest(orders))
    return reading.gateway.open_orders(is_proven=False)


def _fills(reading: Reading, orders: Sequence[Order], states: dict[str, BrokerOrder]) -> dict[str, list[BrokerFill]]:
    lacking = [order for order in orders if _booked_qty(order) != states[order.broker_order_id].filled_qty]
    if len(lacking) > _SINGLE_FILLS and _are_young(lacking, reading.now):
        try:
            return _listed_fills(reading, lacking)
        except BrokerError as error:
            reading.list_failed(error)
    found: dict[str, list[BrokerFill]] = {}
    for number, order in enumerate(lacking):
        if not reading.has_calls_left:
            break
        try:
            found[order.broker_order_id] = reading.gateway.fills_of(order.broker_order_id)
        except BrokerError as error:
            reading.order_failed(order, error)
            # An end without its fills is not booked: the next pass reads both.
            for unread in lacking[number + 1 :]:
                del states[unread.broker_order_id]
            break
    return found


def _listed_fills(reading: Reading, lacking: Sequence[Order]) -> dict[str, list[BrokerFill]]:
    """Return the executions that stand: one that was taken back is not booked, or it would come and go."""
    wanted = {order.broker_order_id for order in lacking}
    listed: dict[str, BrokerFill] = {}
    taken_back: list[BrokerActivity] = []
    for page in reading.gateway.activities_since(_earliest(lacking)):
        listed.update((fill.activity_id, fill) for fill in page.fills if fill.broker_order_id in wanted)
        taken_back += page.others
        if not reading.has_calls_left:
            break
    found: dict[str, list[BrokerFill]] = defaultdict(list)
    for fill in without_taken_back(listed, taken_back).values():
        found[fill.broker_order_id].append(fill)
    return found


def _note_asked(order_ids: Sequence[int], now: datetime) -> None:
    until_written(partial(Order.objects.filter(pk__in=order_ids).update, followed_at=now))


def _booked_qty(order: Order) -> Decimal:
    return sum(order.fills.values_list("qty", flat=True), Decimal(0))


def _are_young(orders: Iterable[Order], now: datetime) -> bool:
    """True when a list from the first of them on is short."""
    return all(
        o.submitted_at is not None and o.confirmed_at is not None and o.confirmed_at > now - _YOUNG for o in orders
    )


def _earliest(orders: Iterable[Order]) -> datetime:
    """Return a moment, by Alpaca's clock, before all of them; its lists begin after the moment given."""
    return min(o.submitted_at for o in orders if o.submitted_at is not None) - timedelta(seconds=1)
