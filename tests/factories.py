"""Small makers of rows for tests. Everything has a default; give what the test is about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from broker.models import Account
from orders.models import Batch, Fill, Order
from positions.models import Adjustment

#: 09:30 in New York on the day after the incident; tests that need another time say so.
NOW = datetime(2025, 11, 7, 14, 30, tzinfo=UTC)

_numbers = count(1)


def minutes(number: float) -> datetime:
    """Return the moment so many minutes after NOW."""
    return NOW + timedelta(minutes=number)


def make_account(slug: str = "sim", **fields: Any) -> Account:
    return Account.objects.get_or_create(slug=slug, defaults={"name": slug.title(), **fields})[0]


def make_batch(account: Account | None = None, **fields: Any) -> Batch:
    number = next(_numbers)
    defaults = {"name": f"batch-{number}.csv", "source": "csv", "content_digest": f"{number:064d}", "created_at": NOW}
    return Batch.objects.create(account=account or make_account(), **{**defaults, "created_by": "ops", **fields})


def make_order(account: Account | None = None, *, symbol: str = "QCOM", side: str = "buy", **fields: Any) -> Order:
    """Make an order that Alpaca has and that works; say `status="filled"` or another submission_state to differ."""
    number = next(_numbers)
    confirmed = fields.get("submission_state", "confirmed") == "confirmed"
    defaults = {
        "client_order_id": f"test-{number}",
        "broker_order_id": f"00000000-0000-4000-8000-{number:012d}" if confirmed else "",
        "submission_state": "confirmed",
        "status": "new" if confirmed else "",
        "qty": "10",
        "recorded_at": NOW,
        "submitted_at": NOW if confirmed else None,
    }
    values = {**defaults, **fields}
    return Order.objects.create(account=account or make_account(), symbol=symbol, side=side, **_exact(values))


def make_fill(
    order: Order | None = None, *, qty: str | Decimal = "10", price: str | Decimal = "100", **fields: Any
) -> Fill:
    """Book one execution and nothing else: no order status, no position. Without an order one is made for it."""
    number = next(_numbers)
    at = fields.pop("at", NOW + timedelta(milliseconds=number))
    if order is None:
        wanted = {name: fields.pop(name) for name in ("account", "symbol", "side") if name in fields}
        order = make_order(**wanted, status="filled", qty=qty, filled_qty=qty, filled_avg_price=price, filled_at=at)
    defaults = {
        "activity_id": f"{at:%Y%m%d%H%M%S%f}::{number:08d}",
        "symbol": order.symbol,
        "side": order.side,
        "transaction_time": at,
        "recorded_at": at,
    }
    return Fill.objects.create(
        account=order.account, order=order, qty=Decimal(qty), price=Decimal(price), **{**defaults, **fields}
    )


def make_adjustment(account: Account | None = None, **fields: Any) -> Adjustment:
    number = next(_numbers)
    defaults = {
        "symbol": "QCOM",
        "kind": "opening",
        "qty": "10",
        "price": "100",
        "effective_at": NOW,
        "reference": f"opening:test-{number}",
        "reason": "Held before the books were opened.",
        "recorded_at": NOW,
        "recorded_by": "ops",
    }
    return Adjustment.objects.create(account=account or make_account(), **_exact({**defaults, **fields}))


def _exact(fields: dict[str, Any]) -> dict[str, Any]:
    """Rows keep what they were given until they are read again: give them the numbers, not their spelling."""
    numbers = ("qty", "notional", "price", "limit_price", "stop_price", "filled_qty", "filled_avg_price")
    return {name: Decimal(value) if name in numbers and value is not None else value for name, value in fields.items()}
