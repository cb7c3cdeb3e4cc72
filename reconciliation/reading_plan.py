"""What the next reading must ask: from when on, and what beyond what changed since then.

The cost follows the change: windows overlap with what was read before by a day, but by no more than some of the
newest rows of the books, and every question to the database here goes by an index into that window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import QuerySet

from broker.models import Account
from orders.alive import alive_at_broker
from orders.lifecycle import SubmissionState
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.adding_up import Booked

Rows = QuerySet[Order] | QuerySet[Fill]

#: Windows are asked for by whole seconds, so that a little more than the window comes.
EDGE = timedelta(seconds=1)
#: So many of the newest rows are read again, if the overlap in time holds more: what comes late is among them.
ROWS_READ_AGAIN = 30
#: Alpaca may publish an order or a fill this long after the time that it bears: never overlap by less.
SHORTEST_OVERLAP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """What must be asked, beyond what changed since the cursor."""

    orders_after: datetime | None
    activities_after: datetime | None
    working_order_ids: frozenset[str]  # ours, linked, can still change
    listed_order_ids: frozenset[str]  # ours, linked, submitted in the window: the list must show them
    known_order_ids: frozenset[str]  # ours, linked: a replaced order whose next one is among them needs no look-up
    booked: Mapping[str, Booked]  # fills of the window that are in the ledger, by id: their orders need no look-up
    unconfirmed_client_order_ids: tuple[str, ...]
    held: Mapping[str, Decimal]  # what we hold: missing from the list of positions, each is asked for by name
    filled_qtys: Mapping[str, Decimal]  # of those that can still change: how much of each is in the ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when on orders and activities are read; None: from the beginning."""

    orders_after: datetime | None
    activities_after: datetime | None


def window_of(
    *,
    account: Account,
    orders_read_to: datetime | None,
    activities_read_to: datetime | None,
    hold: datetime | None,
    is_deep: bool,
) -> Window:
    """Overlap with what was read before: Alpaca moves submitted_at forward and publishes late.

    `hold` is the beginning of what open drift is about. A deep reading overlaps by the whole time, however much
    happened in it.
    """
    orders = None if is_deep else Order.objects.filter(account=account)
    fills = None if is_deep else Fill.objects.filter(account=account)
    return Window(
        orders_after=_start(orders_read_to, hold, orders, "submitted_at"),
        activities_after=_start(activities_read_to, hold, fills, "transaction_time"),
    )


def _start(read_to: datetime | None, hold: datetime | None, rows: Rows | None, column: str) -> datetime | None:
    if read_to is None:
        return None
    moment = min(read_to, hold) if hold else read_to
    overlap = timedelta(hours=settings.CURSOR_OVERLAP_HOURS)
    if rows is None or overlap <= SHORTEST_OVERLAP:
        return moment - overlap
    newest = rows.filter(**{f"{column}__lte": moment, f"{column}__gt": moment - overlap}).order_by(f"-{column}")
    first_too_many: datetime | None = newest.values_list(column, flat=True)[
        ROWS_READ_AGAIN : ROWS_READ_AGAIN + 1
    ].first()
    if first_too_many is None:
        return moment - overlap
    return min(first_too_many, moment - SHORTEST_OVERLAP)


def plan_reading(*, account: Account, window: Window) -> ReadingPlan:
    """Return what must be asked beyond the window: our orders that can change, and submits without an answer."""
    mine = Order.objects.filter(account=account).order_by()
    alive = mine.filter(pk__in=alive_at_broker(account)).values_list("broker_order_id", "pk", "filled_qty")
    working = {broker_order_id: (pk, filled) for broker_order_id, pk, filled in alive}
    unsure = mine.filter(submission_state__in=[SubmissionState.SUBMITTING, SubmissionState.UNCONFIRMED])
    linked = mine.exclude(broker_order_id="")
    listed = linked.filter(submitted_at__isnull=False).exclude(status="held")
    booked = Fill.objects.filter(account=account)
    known = linked
    if window.orders_after is not None:
        listed = listed.filter(submitted_at__gt=window.orders_after)
    if window.activities_after is not None:
        booked = booked.filter(transaction_time__gte=window.activities_after - EDGE)
        known = linked.filter(submitted_at__gte=window.activities_after)
    rows = booked.order_by().values_list("activity_id", "order__broker_order_id", "qty", "transaction_time")
    fills = {activity_id: Booked(broker_order_id, qty, at) for activity_id, broker_order_id, qty, at in rows}
    return ReadingPlan(
        orders_after=window.orders_after,
        activities_after=window.activities_after,
        working_order_ids=frozenset(working),
        listed_order_ids=frozenset(listed.values_list("broker_order_id", flat=True)),
        booked=fills,
        held=dict(Position.objects.filter(account=account).open().order_by().values_list("symbol", "qty")),
        known_order_ids=frozenset(known.values_list("broker_order_id", flat=True))
        | {fill.broker_order_id for fill in fills.values()},
        filled_qtys=_in_the_ledger(working),
        unconfirmed_client_order_ids=tuple(name for _, name in sorted(unsure.values_list("pk", "client_order_id"))),
    )


def _in_the_ledger(working: Mapping[str, tuple[int, Decimal]]) -> dict[str, Decimal]:
    """Return how much of each order its booked fills come to, which its state may be ahead of."""
    began = {pk: broker_order_id for broker_order_id, (pk, filled) in working.items() if filled}
    sums = dict.fromkeys(working, Decimal(0))
    if began:
        for pk, qty in Fill.objects.filter(order__in=began).order_by().values_list("order_id", "qty"):
            sums[began[pk]] += qty
    return sums
