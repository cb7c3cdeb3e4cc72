"""What the batch pages show: the list, the lines of one batch, a preview, and the usual time to send."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import QueryDict

from audit.models import AuditEntry
from broker.models import Account
from broker.times import NEW_YORK
from orders.batch_line import Line, LineError
from orders.checking import CheckedBatch
from orders.models import Batch, Order
from orders.pretrade import Cost
from orders.releasing import next_time
from orders.wording import outcome_of
from ui.tables import Column, Table

BATCHES: Table[Batch] = Table(
    in_database=True,
    has_chooser=True,
    default_sort="-created_at",
    columns=(
        Column(name="batch", label="Batch", sort_field="pk", value=lambda batch: batch.pk),
        Column(name="name", label="File", sort_field="name", value=lambda batch: batch.name),
        Column(name="state", label="State", sort_field="state", value=lambda batch: batch.state),
        Column(
            name="orders",
            label="Orders",
            kind="number",
            sort_field="order_count",
            value=lambda batch: batch.order_count,  # type: ignore[attr-defined]
        ),
        Column(name="created_by", label="Recorded by", sort_field="created_by", value=lambda batch: batch.created_by),
        Column(name="created_at", label="Recorded", kind="time", sort_field="created_at", value=lambda b: b.created_at),
        Column(
            name="scheduled_for",
            label="Planned for",
            kind="time",
            sort_field="scheduled_for",
            value=lambda batch: batch.scheduled_for,
        ),
        Column(
            name="finished_at", label="Finished", kind="time", sort_field="finished_at", value=lambda b: b.finished_at
        ),
        Column(name="released_at", value=lambda batch: batch.released_at),
        Column(name="source", value=lambda batch: batch.source),
    ),
)

LINES: Table[Order] = Table(
    in_database=True,
    default_sort="line",
    columns=(
        Column(name="line", label="Line", kind="number", sort_field="line_number", value=lambda o: o.line_number),
        Column(name="symbol", label="Symbol", sort_field="symbol", value=lambda o: o.symbol),
        Column(name="side", label="Side", sort_field="side", value=lambda o: o.side),
        Column(name="qty", label="Quantity", sort_field="qty", value=lambda o: o.qty, kind="number", is_decimal=True),
        Column(name="order_type", label="Type", sort_field="order_type", value=lambda o: o.order_type),
        Column(
            name="submission_state", label="Sending", sort_field="submission_state", value=lambda o: o.submission_state
        ),
        Column(name="status", label="At Alpaca", sort_field="status", value=lambda o: o.status),
        Column(
            name="filled_qty",
            label="Filled",
            sort_field="filled_qty",
            value=lambda o: o.filled_qty,
            kind="number",
            is_decimal=True,
        ),
        Column(
            name="filled_avg_price",
            label="Average (USD)",
            sort_field="filled_avg_price",
            value=lambda o: o.filled_avg_price,
            kind="number",
            is_decimal=True,
        ),
        Column(name="outcome", label="Outcome", value=outcome_of),
        Column(name="refusal", value=lambda o: o.refusal),
        Column(name="notional", value=lambda o: o.notional),
        Column(name="limit_price", value=lambda o: o.limit_price),
        Column(name="stop_price", value=lambda o: o.stop_price),
        Column(name="client_order_id", value=lambda o: o.client_order_id),
        Column(name="broker_order_id", value=lambda o: o.broker_order_id),
        Column(name="order_class", value=lambda o: o.order_class),
        Column(name="time_in_force", value=lambda o: o.time_in_force),
        Column(name="claimed_at", value=lambda o: o.claimed_at),
        Column(name="submitted_at", value=lambda o: o.submitted_at),
        Column(name="filled_at", value=lambda o: o.filled_at),
    ),
)


def listed_batches(account: Account, params: QueryDict) -> "QuerySet[Batch]":
    """Return the batches that ?state= and ?q= (part of the file's name) leave."""
    batches = Batch.objects.filter(account=account)
    if state := params.get("state"):
        batches = batches.filter(state=state)
    if part := params.get("q", "").strip():
        batches = batches.filter(name__icontains=part)
    # Not by a join: to count the batches, their orders would be counted, too.
    orders = Order.objects.filter(batch=OuterRef("pk")).order_by().values("batch").annotate(number=Count("pk"))
    return batches.annotate(order_count=Coalesce(Subquery(orders.values("number")), 0))


@dataclass(frozen=True, slots=True)
class Halt:
    """Who stopped a batch, when and why; from the audit journal, which keeps it for good."""

    by: str
    at: datetime
    reason: str


def halt_of(batch: Batch) -> Halt | None:
    if batch.state != Batch.State.HALTED:
        return None
    entries = AuditEntry.objects.filter(subject_type="batch", subject_id=str(batch.pk), action="batch.halted")
    entry = entries.order_by("-pk").first()
    return Halt(entry.actor, entry.at, entry.reason) if entry else None


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One line of a file, what it is reckoned to cost or bring, and what is wrong with it.

    `line` is None when it could not be read.
    """

    number: int
    line: Line | None
    cost: Cost | None
    errors: tuple[LineError, ...]


@dataclass(frozen=True, slots=True)
class PreviewTotals:
    """`bought` and `sold` are None while no line has a known price."""

    buys: int
    sells: int
    unread: int
    unpriced: int
    bought: Decimal | None
    sold: Decimal | None

    @property
    def all(self) -> Decimal | None:
        return None if self.bought is None or self.sold is None else self.bought + self.sold


def preview_lines(checked: CheckedBatch) -> list[PreviewLine]:
    wrong: dict[int, list[LineError]] = defaultdict(list)
    for error in checked.errors:
        if error.line is not None:
            wrong[error.line].append(error)
    lines = {line.number: line for line in checked.lines}
    numbers = sorted(lines.keys() | wrong.keys()) if lines else []
    return [PreviewLine(n, lines.get(n), checked.costs.get(n), tuple(wrong.get(n, ()))) for n in numbers]


def preview_totals(rows: list[PreviewLine]) -> PreviewTotals:
    read = [(row.line, row.cost) for row in rows if row.line is not None]
    priced = [(line, cost.dollars) for line, cost in read if cost is not None]

    def dollars(side: str) -> Decimal | None:
        return sum((dollars for line, dollars in priced if line.side == side), Decimal(0)) if priced else None

    buys = sum(1 for line, _cost in read if line.side == "buy")
    unpriced = len(read) - len(priced)
    return PreviewTotals(buys, len(read) - buys, len(rows) - len(read), unpriced, dollars("buy"), dollars("sell"))


def default_schedule(account: Account, now: datetime) -> datetime:
    """The usual hour in New York of the next trading day, as far as the last read of Alpaca's clock tells it."""
    planned = next_time(settings.DEFAULT_SEND_TIME, now=now)
    while planned.astimezone(NEW_YORK).weekday() >= 5:
        planned = next_time(settings.DEFAULT_SEND_TIME, now=planned)
    snapshot = account.snapshots.order_by("-read_at").first()
    opens = snapshot.next_open.astimezone(NEW_YORK) if snapshot and snapshot.next_open else None
    if opens and not snapshot_is_old(opens, now) and opens.date() > planned.astimezone(NEW_YORK).date():
        planned = datetime.combine(opens.date(), time.fromisoformat(settings.DEFAULT_SEND_TIME), tzinfo=NEW_YORK)
    return planned


def snapshot_is_old(opens: datetime, now: datetime) -> bool:
    """An opening more than a week away is no holiday but another calendar, such as a test's."""
    return not timedelta(0) < opens - now < timedelta(days=7)
