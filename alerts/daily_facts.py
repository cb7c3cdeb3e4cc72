"""What happened on an account on one day, read from the rows and written as plain data: that is what a report keeps."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q

from alerts.models import Alert
from audit.chain import current_head
from broker.models import Account, AccountSnapshot
from broker.times import NEW_YORK
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.models import Drift, Fix, Run
from ui.formatting import dollars, in_new_york, number_of, price, qty, signed

#: So many rows of one sort are listed; the rest is counted.
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Day:
    """From midnight to midnight in New York, whatever the clocks do on it."""

    day: date

    @property
    def start(self) -> datetime:
        return datetime.combine(self.day, time.min, NEW_YORK)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.day + timedelta(days=1), time.min, NEW_YORK)

    def within(self, field: str) -> Q:
        return Q(**{f"{field}__gte": self.start, f"{field}__lt": self.end})


def facts_of(*, account: Account, day: Day, now: datetime) -> dict[str, Any]:
    """Everything as text, spelled for people, so that a report reads in ten years as it did on its day."""
    orders = Order.objects.filter(day.within("recorded_at") | day.within("submitted_at"), account=account)
    head = current_head()
    return {
        "account": account.slug,
        "name": account.name,
        "environment": account.get_environment_display(),
        "day": day.day.isoformat(),
        "made_at": in_new_york(now, today=day.day, style="full"),
        "money": _money(account, day),
        "positions": [_position(row) for row in _open(account)],
        "open_positions": _open(account).count(),
        "total_risk": _total_risk(account),
        "closed": [_closed(row) for row in _closed_on(account, day)],
        "orders": [_order(row) for row in orders.defer("raw").order_by("recorded_at", "id")[:MOST_ROWS]],
        "order_count": orders.count(),
        "orders_by_state": _by_state(orders),
        "fill_count": Fill.objects.filter(day.within("transaction_time"), account=account).count(),
        "drift": _drift(account, day),
        "runs": _runs(account, day),
        "alerts": [_alert(row) for row in _alerts(account, day)[:MOST_ROWS]],
        "alert_count": _alerts(account, day).count(),
        "sending_halted": account.sending_halted,
        "journal": {"entries": head.sequence, "digest": head.digest},
    }


def _money(account: Account, day: Day) -> dict[str, str] | None:
    mine = AccountSnapshot.objects.filter(account=account, read_at__gte=day.start, read_at__lt=day.end)
    last = mine.order_by("-read_at").first()
    if last is None:
        return None
    return {
        "equity": dollars(last.equity),
        "day_change": signed(last.equity - last.last_equity),
        "cash": dollars(last.cash),
        "buying_power": dollars(last.buying_power),
        "read_at": in_new_york(last.read_at, today=day.day),
    }


def _open(account: Account) -> "Any":
    return Position.objects.filter(account=account).open().order_by("symbol")


def _position(row: Position) -> dict[str, str]:
    return {
        "symbol": row.symbol,
        "side": row.side,
        "qty": qty(row.qty),
        "entry": price(row.avg_entry_price),
        "last": price(row.last_price),
        "unrealized": signed(row.unrealized_pl),
        "stop": price(row.stop_loss),
        "target": price(row.target),
        "risk": dollars(row.total_risk),
        "note": "estimated" if row.is_estimated else "",
    }


def _total_risk(account: Account) -> dict[str, Any]:
    """Not by SQL: sums of exact numbers cannot be asked of SQLite."""
    risks = list(_open(account).values_list("total_risk", flat=True))
    known = sum((risk for risk in risks if risk is not None), Decimal(0))
    return {"sum": dollars(known), "without": risks.count(None)}


def _closed_on(account: Account, day: Day) -> Iterable[Position]:
    mine = Position.objects.filter(day.within("closed_at"), account=account, opened_at__isnull=False)
    return mine.closed().order_by("closed_at", "id")[:MOST_ROWS]


def _closed(row: Position) -> dict[str, str]:
    return {"symbol": row.symbol, "side": row.side, "qty": qty(row.entry_qty), "realized": signed(row.realized_pl)}


def _order(row: Order) -> dict[str, str]:
    asked = qty(row.qty) if row.qty is not None else dollars(number_of(row.notional))
    return {
        "symbol": row.symbol,
        "side": row.side,
        "qty": asked,
        "type": row.order_type.replace("_", " "),
        "state": (row.status or row.submission_state).replace("_", " "),
        "filled": qty(row.filled_qty),
        "price": price(row.filled_avg_price),
        "note": row.refusal,
    }


def _by_state(orders: "Any") -> dict[str, int]:
    """Alpaca's word where it has said one, else ours."""
    counts: Counter[str] = Counter()
    for status, ours, number in orders.order_by().values_list("status", "submission_state").annotate(n=Count("pk")):
        counts[(status or ours).replace("_", " ")] += number
    return dict(sorted(counts.items()))


def _drift(account: Account, day: Day) -> dict[str, Any]:
    roots = Drift.objects.filter(account=account).roots()
    found = roots.filter(day.within("first_seen_at"))
    repaired = Fix.objects.filter(day.within("verified_at"), account=account, state=Fix.State.VERIFIED)
    still = roots.open().order_by("first_seen_at", "id")
    return {
        "found": [_difference(row) for row in found.order_by("first_seen_at", "id")[:MOST_ROWS]],
        "found_count": found.count(),
        "repaired": [
            {"title": fix.title, "by": fix.approved_by} for fix in repaired.order_by("verified_at", "id")[:MOST_ROWS]
        ],
        "repaired_count": repaired.count(),
        "resolved_count": roots.filter(day.within("resolved_at")).count(),
        "open": [_difference(row) for row in still[:MOST_ROWS]],
        "open_count": still.count(),
    }


def _difference(row: Drift) -> dict[str, str]:
    touched = "" if row.dollars is None else dollars(row.dollars)
    return {"kind": row.title, "severity": row.severity, "sentence": row.sentence, "dollars": touched}


@dataclass(frozen=True, slots=True)
class _Line:
    run: int
    why: str
    verdict: str
    at: str
    reason: str


def _runs(account: Account, day: Day) -> dict[str, Any]:
    runs = Run.objects.filter(day.within("requested_at"), account=account)
    counts = dict(runs.order_by().values_list("state").annotate(n=Count("pk")))
    close = runs.filter(trigger=Run.Trigger.CLOSE).order_by("-pk").first()
    last = runs.finished().order_by("-pk").first()
    return {
        "count": sum(counts.values()),
        "by_verdict": {str(Run.State(state).label): number for state, number in sorted(counts.items())},
        "close": asdict(_line(close, day)) if close else None,
        "last": asdict(_line(last, day)) if last else None,
    }


def _line(run: Run, day: Day) -> _Line:
    at = in_new_york(run.finished_at or run.requested_at, today=day.day)
    return _Line(run.pk, run.get_trigger_display(), run.get_state_display(), at, run.incomplete_reason)


def _alerts(account: Account, day: Day) -> "Any":
    """Those of the account, and those of the installation."""
    whose = Q(account=account) | Q(account__isnull=True)
    return Alert.objects.filter(whose, day.within("first_seen_at")).order_by("first_seen_at", "id")


def _alert(row: Alert) -> dict[str, str]:
    return {"title": row.title, "severity": row.severity, "sentence": row.sentence, "state": row.get_state_display()}
