"""Many rows at once: the record of a busy year, for query counts at two sizes and for measuring pages.

Everything is derived from the numbers, so that two crowds of the same size are equal.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account, AccountSnapshot
from orders.models import Batch, Fill, Order
from positions.models import Position
from reconciliation.models import Drift, Run

#: Every second order is in it, so that a small crowd has a page full of one symbol, too.
COMMON_SYMBOL = "QCOM"
STATUSES = ("filled",) * 14 + ("canceled", "canceled", "expired", "new", "partially_filled", "replaced")
STATES = ("confirmed",) * 18 + ("rejected", "not_placed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many rows of each kind."""

    orders: int = 0
    batches: int = 0
    positions: int = 0
    runs: int = 0
    entries: int = 0
    drifts: int = 0


def fill_books(account: Account, size: Size, *, now: datetime | None = None) -> None:
    """Write that many rows, beginning where an earlier call of the same kind ended."""
    at = now or timezone.now()
    _save(Batch, _batches(account, size.batches, at))
    batch_ids = list(Batch.objects.filter(account=account).order_by("pk").values_list("pk", flat=True))
    orders = list(_orders(account, size.orders, batch_ids, at))
    _save(Order, orders)
    _save(Fill, _fills(orders))
    _save(Position, _positions(account, size.positions, at))
    _save(Run, _runs(account, size.runs, at))
    _save(AuditEntry, _entries(account, size.entries, at))
    if size.drifts:
        _save(Drift, _drifts(account, size.drifts, at))
    _snapshot(account, at)


def _save(model: Any, rows: Iterable[Any]) -> None:
    model.objects.bulk_create(rows, batch_size=2000)


def _numbers(model: Any, account: Account, count: int) -> range:
    start = model.objects.filter(account=account).count()
    return range(start, start + count)


def _batches(account: Account, count: int, at: datetime) -> Iterator[Batch]:
    for number in _numbers(Batch, account, count):
        yield Batch(
            account=account,
            name=f"morning-{number}.csv",
            source="csv",
            content_digest=f"{number:064d}",
            state=("finished", "finished", "finished", "halted")[number % 4],
            created_by=("ops", "dana")[number % 2],
            created_at=at - timedelta(days=2, hours=number),
            released_at=at - timedelta(days=2, hours=number),
            finished_at=at - timedelta(days=2, hours=number) + timedelta(minutes=1),
            reconciled_at=at,
        )


def _orders(account: Account, count: int, batch_ids: list[int], at: datetime) -> Iterator[Order]:
    for number in _numbers(Order, account, count):
        state, status = STATES[number % 20], STATUSES[number // 2 % 20]
        if state != "confirmed":
            status = "rejected" if state == "rejected" else ""
        is_filled = status in {"filled", "partially_filled"}
        submitted_at = at - timedelta(days=2, minutes=number)
        price = Decimal(10_000 + number * 7919 % 40_000) / 100
        qty = Decimal(1 + number * 31 % 400)
        yield Order(
            account=account,
            batch_id=batch_ids[number % len(batch_ids)] if batch_ids and number % 10 else None,
            line_number=number + 1,
            origin="batch" if number % 10 else "external",
            client_order_id=f"crowd-{number % 50:02d}-{number:012x}",
            broker_order_id=f"{number % 97:08x}-0000-4000-8000-{number:012x}" if state == "confirmed" else "",
            symbol=symbol_of(number),
            side=("buy", "sell")[number % 3 == 0],
            order_type=("market", "limit", "stop")[number % 3],
            qty=qty if number % 25 else None,
            notional=None if number % 25 else qty * 100,
            limit_price=price if number % 3 == 1 else None,
            submission_state=state,
            status=status,
            recorded_at=submitted_at - timedelta(seconds=2),
            submitted_at=submitted_at if state == "confirmed" else None,
            confirmed_at=submitted_at if state == "confirmed" else None,
            filled_qty=qty if is_filled else Decimal(0),
            filled_avg_price=price if is_filled else None,
            filled_at=submitted_at + timedelta(seconds=1) if status == "filled" else None,
            broker_updated_at=submitted_at + timedelta(seconds=1),
            is_booked=state == "confirmed",
            raw={"id": f"{number:032x}", "qty": str(qty), "padding": "as Alpaca's answers are long " * 25},
        )


def symbol_of(number: int) -> str:
    return COMMON_SYMBOL if number % 2 else f"S{number // 2 % 400:03d}"


def _fills(orders: list[Order]) -> Iterator[Fill]:
    for order in orders:
        if order.filled_at is not None and order.filled_avg_price is not None:
            yield Fill(
                account_id=order.account_id,
                order=order,
                activity_id=f"{order.filled_at:%Y%m%d%H%M%S%f}::{order.client_order_id}",
                symbol=order.symbol,
                side=order.side,
                qty=order.filled_qty,
                price=order.filled_avg_price,
                transaction_time=order.filled_at,
                recorded_at=order.filled_at,
                raw={"id": order.client_order_id},
            )


def _positions(account: Account, count: int, at: datetime) -> Iterator[Position]:
    """Four of five are open, one of ten pending, one of ten closed; one of five of the open ones is short."""
    for number in _numbers(Position, account, count):
        state = "closed" if number % 10 == 3 else "pending" if number % 10 == 7 else "open"
        is_short = number % 5 == 4
        size = Decimal(1 + number * 37 % 300) * (-1 if is_short else 1)
        entry = Decimal(10_000 + number * 7919 % 40_000) / 100
        qty = size if state == "open" else Decimal(0)
        yield Position(
            account=account,
            symbol=f"P{number:04d}",
            sequence=1,
            state=state,
            side="short" if is_short else "long",
            qty=qty,
            entry_qty=abs(size),
            avg_entry_price=entry,
            cost_basis=qty * entry,
            realized_pl=Decimal(number % 90 - 40) if state == "closed" else Decimal(0),
            opened_at=None if state == "pending" else at - timedelta(days=3, minutes=number),
            closed_at=at - timedelta(days=1) if state == "closed" else None,
            stop_loss=entry * Decimal("1.08") if is_short else entry * Decimal("0.92"),
            target=entry * Decimal("0.84") if is_short else entry * Decimal("1.16"),
            risk_per_share=entry * Decimal("0.08"),
            total_risk=abs(qty) * entry * Decimal("0.08"),
            stop_loss_pct=Decimal(8),
            target_pct=Decimal(16),
            parameters_from="the account's default",
            last_price=entry + Decimal(number % 11 - 5) if state == "open" else None,
            last_price_at=at if state == "open" else None,
            rebuilt_at=at,
        )


def _runs(account: Account, count: int, at: datetime) -> Iterator[Run]:
    for number in _numbers(Run, account, count):
        yield Run(
            account=account,
            trigger=("batch", "close", "demand")[number % 3],
            state=("in_sync", "drift", "incomplete")[number % 3],
            requested_by=("system:batch", "ops")[number % 2],
            requested_at=at - timedelta(hours=2, minutes=number),
            started_at=at - timedelta(hours=2, minutes=number),
            finished_at=at - timedelta(hours=2, minutes=number) + timedelta(seconds=3),
            api_calls=number % 40,
        )


def _entries(account: Account, count: int, at: datetime) -> Iterator[AuditEntry]:
    start = AuditEntry.objects.count()
    for number in range(start, start + count):
        yield AuditEntry(
            at=at - timedelta(days=1, minutes=number),
            actor=("ops", "trader", "admin", "system:apply")[number % 4],
            action=("batch.recorded", "batch.released", "fix.applied", "fix.approved")[number % 4],
            account=account.slug,
            subject_type=("batch", "fix")[number % 2],
            subject_id=str(number),
            summary=f"Batch {number} of {symbol_of(number)} recorded",
            reason="as planned" if number % 2 else "",
        )


def _drifts(account: Account, count: int, at: datetime) -> Iterator[Drift]:
    run = Run.objects.filter(account=account).order_by("pk").last()
    if run is None:
        run = Run.objects.create(
            account=account, trigger="demand", state="drift", requested_by="ops", requested_at=at, finished_at=at
        )
    for number in _numbers(Drift, account, count):
        yield Drift(
            account=account,
            key=f"order-state:{number}",
            kind="status_behind",
            group="orders",
            severity=("high", "medium", "low")[number % 3],
            symbol=f"P{number:04d}",
            state="open" if number % 5 else "resolved",
            sentence=f"Order {number} is filled at Alpaca and new here.",
            dollars=Decimal(number),
            local={"status": "new"},
            broker={"status": "filled"},
            first_run=run,
            last_run=run,
            first_seen_at=at,
            last_seen_at=at,
        )


def _snapshot(account: Account, at: datetime) -> None:
    AccountSnapshot.objects.get_or_create(
        account=account,
        defaults={
            "read_at": at,
            "equity": "104233.17",
            "last_equity": "103028.67",
            "cash": "21000.5",
            "buying_power": "42000",
            "long_market_value": "80000",
            "short_market_value": "-3232.67",
            "market_is_open": True,
            "next_open": at + timedelta(hours=20),
            "next_close": at + timedelta(hours=2),
        },
    )
