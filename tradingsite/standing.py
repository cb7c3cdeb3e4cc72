"""Where the account stands: the figures of the overview, from what is recorded. Asks the broker nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import nsmallest

from django.conf import settings
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Coalesce

from broker.models import Account, AccountSnapshot
from orders.lifecycle import SETTLED
from orders.models import Batch, Order
from positions.models import Position
from positions.risk import distance
from reconciliation.at_close import next_close_run
from reconciliation.models import Drift, Run
from reconciliation.presentation import gravest, rank
from ui.formatting import NEW_YORK, share

#: A check that is this late does not wait for its turn: nobody makes it.
OVERDUE_AFTER = timedelta(minutes=5)
#: How many positions are named as the closest to their stops.
NEAREST = 5


@dataclass(frozen=True, slots=True)
class Money:
    """What Alpaca said when it was last read, with what follows from it."""

    equity: Decimal
    day_change: Decimal
    day_change_share: Decimal | None
    cash: Decimal
    buying_power: Decimal
    exposure: Decimal
    exposure_share: Decimal | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """The open positions, added up. What has no stop or no price is counted apart, never taken for zero."""

    open_count: int
    pending_count: int
    up: int
    down: int
    unrealized_pl: Decimal
    total_risk: Decimal
    risk_share: Decimal | None
    without_risk: int
    without_price: int
    estimated: int
    beyond_stop: int
    nearest: list[Position]  # to their stops, the nearest first


@dataclass(frozen=True, slots=True)
class DriftGroup:
    severity: str
    count: int
    dollars: Decimal
    without_dollars: int


def money_of(snapshot: AccountSnapshot | None) -> Money | None:
    if snapshot is None:
        return None
    change = snapshot.equity - snapshot.last_equity
    exposure = snapshot.long_market_value + abs(snapshot.short_market_value)
    return Money(
        equity=snapshot.equity,
        day_change=change,
        day_change_share=share(change, snapshot.last_equity),
        cash=snapshot.cash,
        buying_power=snapshot.buying_power,
        exposure=exposure,
        exposure_share=share(exposure, snapshot.equity),
        read_at=snapshot.read_at,
    )


_EXACT = ("qty", "last_price", "cost_basis", "total_risk", "stop_loss")


def held_in(positions: "QuerySet[Position]", equity: Decimal | None) -> Held:
    """Add up what is not closed. Two queries; the exact numbers are read as text: a thousand positions are no rows."""
    exact = (Cast(name, TextField()) for name in _EXACT)
    rows = positions.order_by().values_list("pk", "state", "side", "is_estimated", *exact)
    count, distances = Counter[str](), list[tuple[Decimal, int]]()
    unrealized_pl = total_risk = Decimal(0)
    for pk, state, side, is_estimated, qty, last_price, cost, risk, stop in rows:
        if state != Position.State.OPEN:
            count["pending"] += 1
            continue
        count["open"] += 1
        count["estimated"] += bool(is_estimated)
        if risk is None:
            count["without risk"] += 1
        else:
            total_risk += Decimal(risk)
        if last_price is None:
            count["without price"] += 1
            continue
        last = Decimal(last_price)
        profit = Decimal(qty) * last - Decimal(cost)
        unrealized_pl += profit
        count["up"] += profit > 0
        count["down"] += profit < 0
        if stop is not None and last:
            away = distance(Decimal(stop), is_long=side == "long", last_price=last, towards_loss=True)
            distances.append((away, pk))
    nearest = [pk for _away, pk in nsmallest(NEAREST, distances)]
    found = positions.model.objects.in_bulk(nearest)
    return Held(
        open_count=count["open"],
        pending_count=count["pending"],
        up=count["up"],
        down=count["down"],
        unrealized_pl=unrealized_pl,
        total_risk=total_risk,
        risk_share=share(total_risk, equity),
        without_risk=count["without risk"],
        without_price=count["without price"],
        estimated=count["estimated"],
        beyond_stop=sum(away <= 0 for away, _pk in distances),
        nearest=[found[pk] for pk in nearest if pk in found],
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """An open difference that has no other behind it. It is as grave as the gravest thing that follows from it."""

    pk: int
    severity: str
    dollars: Decimal | None


def open_causes(account: Account) -> list[Cause]:
    """Return them gravest first, and of the same severity what was seen last first. Two queries."""
    mine = Drift.objects.filter(account=account).open()
    followers: dict[int, list[str]] = defaultdict(list)
    for cause, severity in mine.filter(cause__isnull=False).values_list("cause_id", "severity"):
        followers[cause].append(severity)
    roots = mine.roots().order_by("-last_seen_at", "id").values_list("pk", "severity", "dollars")
    causes = [Cause(pk, gravest([severity, *followers[pk]]), dollars) for pk, severity, dollars in roots]
    return sorted(causes, key=lambda cause: rank(cause.severity))


def drift_groups(causes: Iterable[Cause]) -> list[DriftGroup]:
    """Count the causes and their dollars by severity, gravest first."""
    dollars: dict[str, list[Decimal | None]] = defaultdict(list)
    for cause in causes:
        dollars[cause.severity].append(cause.dollars)
    return [
        DriftGroup(severity, len(amounts), sum((a for a in amounts if a is not None), Decimal(0)), amounts.count(None))
        for severity, amounts in sorted(dollars.items(), key=lambda group: rank(group[0]))
    ]


def told(causes: Sequence[Cause]) -> list[tuple[Cause, str]]:
    """Say in words what each is about. One query."""
    sentences = dict(Drift.objects.filter(pk__in=[cause.pk for cause in causes]).values_list("pk", "sentence"))
    return [(cause, sentences[cause.pk]) for cause in causes if cause.pk in sentences]


@dataclass(frozen=True, slots=True)
class NextCheck:
    """When the record is compared with Alpaca again, and why then. `at` is None while a check is under way."""

    at: datetime | None
    why: str
    is_overdue: bool = False


def next_check(account: Account, now: datetime) -> NextCheck | None:
    """Return the next reconciliation that is already arranged; None if there is none."""
    waiting = (
        Run.objects.filter(account=account, state__in=[Run.State.QUEUED, Run.State.RUNNING]).order_by("id").first()
    )
    if waiting is not None:
        return NextCheck(None, waiting.get_trigger_display().lower())
    found: list[tuple[datetime, str]] = []
    batch = (
        Batch.objects.filter(account=account, reconciled_at__isnull=True, finished_at__isnull=False)
        .order_by("finished_at")
        .first()
    )
    if batch is not None and batch.finished_at is not None:
        found.append((batch.finished_at + timedelta(seconds=settings.SETTLING_DELAY_SECONDS), f"after {batch.name}"))
    close_at = next_close_run(account, now)
    if close_at is not None:
        found.append((close_at, "at the close"))
    if not found:
        return None
    at, why = min(found)
    return NextCheck(at, why, is_overdue=now - at > OVERDUE_AFTER)


def batches_of_today(account: Account, now: datetime) -> "QuerySet[Batch]":
    """Batches recorded, due or released on this day in New York, with how many of their orders are settled."""
    midnight = now.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    # The day ends at the next midnight in New York, also when the clocks change.
    end = (midnight + timedelta(hours=36)).replace(hour=0)
    today = Q(created_at__gte=midnight) | Q(scheduled_for__gte=midnight, scheduled_for__lt=end)
    today |= Q(released_at__gte=midnight) | Q(state=Batch.State.RELEASED)
    # Not by a join: to leave out the others, the orders of every batch would be counted first.
    orders = Order.objects.filter(batch=OuterRef("pk")).order_by().values("batch")

    def counted(*conditions: Q) -> Coalesce:
        return Coalesce(Subquery(orders.filter(*conditions).annotate(number=Count("pk")).values("number")), 0)

    return (
        Batch.objects.filter(today, account=account)
        .annotate(
            order_count=counted(),
            settled_count=counted(Q(submission_state__in=SETTLED)),
            refused_count=counted(Q(submission_state__in=["denied", "rejected", "not_placed"])),
        )
        .order_by("-created_at", "-id")
    )


def has_history(account: Account) -> bool:
    return Order.objects.filter(account=account).exists() or Position.objects.filter(account=account).exists()
