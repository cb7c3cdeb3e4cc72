"""Where the account stands: the figures of the overview, from what is recorded. Asks the broker nothing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django_q.models import Schedule

from broker.models import Account, AccountSnapshot
from orders.lifecycle import SETTLED
from orders.models import Batch, Order
from positions.models import Position
from reconciliation.models import Drift, Run
from reconciliation.presentation import gravest, rank
from ui.formatting import NEW_YORK, share

#: A check that is this late does not wait for its turn: nobody makes it.
OVERDUE_AFTER = timedelta(minutes=5)
#: How many positions are named as the closest to their stops.
NEAREST = 5
#: What the figures of the overview need of a position.
POSITION_FIELDS = (
    "symbol", "state", "side", "qty", "cost_basis", "last_price", "avg_entry_price", "stop_loss", "target",
    "total_risk", "is_estimated",
)  # fmt: skip


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
    beyond_stop: list[Position]
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


def held_in(positions: Iterable[Position], equity: Decimal | None) -> Held:
    rows = list(positions)
    held = [position for position in rows if position.is_open]
    # Each figure is reckoned once, not at every look: there may be a thousand positions.
    profits = [profit for position in held if (profit := position.unrealized_pl) is not None]
    risks = [position.total_risk for position in held if position.total_risk is not None]
    total_risk = sum(risks, Decimal(0))
    distances = [(distance, position) for position in held if (distance := position.stop_distance) is not None]
    distances.sort(key=itemgetter(0))
    return Held(
        open_count=len(held),
        pending_count=len(rows) - len(held),
        up=sum(profit > 0 for profit in profits),
        down=sum(profit < 0 for profit in profits),
        unrealized_pl=sum(profits, Decimal(0)),
        total_risk=total_risk,
        risk_share=share(total_risk, equity),
        without_risk=len(held) - len(risks),
        without_price=len(held) - len(profits),
        estimated=sum(position.is_estimated for position in held),
        beyond_stop=[position for distance, position in distances if distance <= 0],
        nearest=[position for _distance, position in distances[:NEAREST]],
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
    schedule = Schedule.objects.filter(func="reconciliation.tasks.reconcile_at_close").order_by("next_run").first()
    if schedule is not None:
        found.append((schedule.next_run, "at the close"))
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
    return (
        Batch.objects.filter(today, account=account)
        .annotate(
            order_count=Count("orders"),
            settled_count=Count("orders", filter=Q(orders__submission_state__in=SETTLED)),
            refused_count=Count("orders", filter=Q(orders__submission_state__in=["denied", "rejected", "not_placed"])),
        )
        .order_by("-created_at", "-id")
    )


def has_history(account: Account) -> bool:
    return Order.objects.filter(account=account).exists() or Position.objects.filter(account=account).exists()
