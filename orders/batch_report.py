"""A batch and its orders as the one JSON document that outsiders read."""

from collections.abc import Iterable
from typing import Any

from broker.models import Account
from broker.numbers import plain
from orders.batch_line import Line, LineError
from orders.models import Batch, Order


def report_batch(
    *,
    account: Account,
    batch: Batch | None,
    state: str,
    errors: Iterable[LineError] = (),
    warnings: Iterable[str] = (),
    lines: Iterable[Line] = (),
) -> dict[str, Any]:
    """Return the document of a recorded batch, or, without one, of the lines that were only checked."""
    orders = [_order(order) for order in batch.orders.order_by("line_number", "pk")] if batch else map(_line, lines)
    return {
        "batch": batch.pk if batch else None,
        "state": state,
        "account": account.slug,
        "errors": [{"line": e.line, "field": e.field, "message": e.message} for e in errors],
        "warnings": list(warnings),
        "orders": list(orders),
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "line": order.line_number,
        "client_order_id": order.client_order_id,
        "broker_order_id": order.broker_order_id or None,
        "symbol": order.symbol,
        "side": order.side,
        "qty": plain(order.qty),
        "notional": plain(order.notional),
        "submission_state": order.submission_state,
        "status": order.status or None,
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": plain(order.filled_avg_price),
        "refusal": order.refusal or None,
    }


def _line(line: Line) -> dict[str, Any]:
    nothing = dict.fromkeys(
        (
            "client_order_id",
            "broker_order_id",
            "submission_state",
            "status",
            "filled_qty",
            "filled_avg_price",
            "refusal",
        )
    )
    known = {"line": line.number, "symbol": line.symbol, "side": line.side}
    return known | {"qty": plain(line.qty), "notional": plain(line.notional)} | nothing
