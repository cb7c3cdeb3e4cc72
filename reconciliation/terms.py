"""The terms of an order, field by field, under the same names for both sides. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerOrder

#: In the order in which people are told of them: the first two turn an order into another one.
TERMS = (
    "side", "order_type", "qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent",
    "time_in_force", "extended_hours", "order_class",
)  # fmt: skip
#: What makes the order another order: nobody wanted it so.
GRAVE_TERMS = frozenset({"side", "order_type"})

Terms = Mapping[str, str | None]


def spell_terms(order: Any) -> Terms:
    """Return the terms of a row of ours or of an order at Alpaca; equal terms are equal texts."""
    found = {name: _spell(getattr(order, name)) for name in TERMS}
    found["order_class"] = "" if order.order_class == "simple" else order.order_class
    if order.order_type == "trailing_stop":
        found["stop_price"] = None  # moves with the price
    if order.order_class == "oco" and found["limit_price"] is None:
        # It is the take-profit itself, and was recorded by the price of that.
        found["limit_price"] = _spell(getattr(order, "take_profit_limit_price", None))
    return found


def _spell(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return plain(value)
    return None if value is None else str(value)


def differing_terms(ours: Terms, theirs: BrokerOrder) -> list[str]:
    """Return the names of the terms that Alpaca has otherwise.

    Of an order by amount Alpaca tells a quantity or not, as it likes: it is no term of it.
    """
    there = spell_terms(theirs)
    by_amount = ours["notional"] is not None or there["notional"] is not None
    skipped = {"qty"} if by_amount else set()
    if there["notional"] is None and there["qty"] is not None:
        skipped.add("notional")
    return [name for name in TERMS if name not in skipped and ours[name] != there[name]]


def term_in_words(name: str, ours: str | None, theirs: str | None) -> str:
    return f"{name.replace('_', ' ')} {theirs or 'none'} instead of {ours or 'none'}"
