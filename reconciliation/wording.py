"""How the compared facts are spelled: the same field names for both sides, and sentences for people. Pure."""

from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerFill, BrokerOrder, BrokerPosition
from reconciliation.difference import Facts
from reconciliation.evidence import LocalFill, LocalOrder, LocalPosition


def order_facts(order: LocalOrder | BrokerOrder) -> dict[str, Any]:
    """The fields that are compared and shown, under the same names for both sides."""
    facts: dict[str, Any] = {
        "client_order_id": order.client_order_id,
        "broker_order_id": order.broker_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "qty": plain(order.qty),
        "status": order.status,
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": plain(order.filled_avg_price),
        "replaced_by": order.replaced_by,
    }
    if isinstance(order, LocalOrder):
        facts["submission_state"] = str(order.submission_state)
    return facts


def position_facts(position: LocalPosition | BrokerPosition | None) -> Facts:
    if position is None:
        return {"qty": "0"}
    return {"qty": plain(position.qty), "avg_entry_price": plain(position.avg_entry_price)}


def spell_fill(fill: LocalFill | BrokerFill) -> dict[str, object]:
    return {
        "activity_id": fill.activity_id,
        "side": fill.side,
        "qty": plain(fill.qty),
        "price": plain(fill.price),
        "transaction_time": fill.transaction_time.isoformat(),
    }


def name_of(order: BrokerOrder) -> str:
    size = plain(order.qty) if order.qty is not None else f"${plain(order.notional)} of"
    return f"{order.side} {size} {order.symbol}"


def _price(price: Decimal) -> str:
    """At least two decimals, as people write money; never fewer digits than the price has."""
    text = plain(price) or "0"
    return f"{price:.2f}" if len(text.partition(".")[2]) < 2 else text


def average(price: Decimal) -> str:
    """An average price, which may have no end: to a hundredth of a cent, and without noughts that say nothing."""
    return _price(price.quantize(Decimal("0.0001")))


def fills_in_words(fills: tuple[BrokerFill, ...]) -> str:
    shown = [f"{plain(fill.qty)} at {_price(fill.price)}" for fill in fills[:3]]
    return ", ".join(shown) + (f" and {len(fills) - 3} more" if len(fills) > 3 else "")


def dollars_of(order: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Decimal | None:
    if fills:
        return sum((fill.qty * fill.price for fill in fills), Decimal(0))
    if order.filled_avg_price is not None:
        return order.filled_qty * order.filled_avg_price
    return order.qty * order.limit_price if order.qty is not None and order.limit_price is not None else order.notional


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
