"""Does what was read add up? Sums that agree prove that no fill is missing from the list of activities.

Three answers of Alpaca's speak of every fill: the list, the order that it belongs to, and the position. A list that
was cut short disagrees with the other two.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from broker.types import BrokerFill, BrokerOrder, BrokerPosition
from orders.lifecycle import is_terminal


@dataclass(frozen=True, slots=True)
class Booked:
    """A fill in our ledger."""

    broker_order_id: str
    qty: Decimal
    at: datetime


def fills_add_up(
    orders: Iterable[BrokerOrder],
    fills: Iterable[BrokerFill],
    booked: Collection[str],
    filled_before: Mapping[str, Decimal],
) -> bool:
    """True if every order is filled by as much as its listed fills say, with what our ledger had of it before."""
    listed: dict[str, Decimal] = defaultdict(Decimal)
    fresh: dict[str, Decimal] = defaultdict(Decimal)
    reached: dict[str, Decimal] = {}
    for fill in fills:
        listed[fill.broker_order_id] += fill.qty
        if fill.activity_id not in booked:
            fresh[fill.broker_order_id] += fill.qty
        if fill.cum_qty is not None:
            reached[fill.broker_order_id] = max(fill.cum_qty, reached.get(fill.broker_order_id, fill.cum_qty))
    return all(
        order.filled_qty
        in (
            listed[order.broker_order_id],
            reached.get(order.broker_order_id),
            filled_before.get(order.broker_order_id, Decimal(0)) + fresh[order.broker_order_id],
        )
        for order in orders
    )


def left_out_of(
    orders: Mapping[str, BrokerOrder],
    fills: Mapping[str, BrokerFill],
    booked: Mapping[str, Booked],
    after: datetime | None,
) -> str:
    """Return an order that is filled by what our ledger has of it, while the list of that time lacks a part.

    Then the list was cut short: a fill that was taken back or corrected would be missing from the order, or listed
    in another way.
    """
    listed: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills.values():
        listed[fill.broker_order_id] += fill.qty
    ours: dict[str, Decimal] = defaultdict(Decimal)
    unlisted: set[str] = set()
    for activity_id, known in booked.items():
        ours[known.broker_order_id] += known.qty
        if activity_id not in fills and (after is None or known.at > after):
            unlisted.add(known.broker_order_id)
    for key in sorted(unlisted):
        order = orders.get(key)
        if order is not None and listed[key] < order.filled_qty == ours[key]:
            return key
    return ""


def holdings_add_up(
    held: Mapping[str, Decimal],
    fills: Iterable[BrokerFill],
    booked: Collection[str],
    positions: Mapping[str, BrokerPosition],
) -> bool:
    """True if Alpaca holds what we hold, changed by the fills that are new to us."""
    expected: dict[str, Decimal] = defaultdict(Decimal, held)
    for fill in fills:
        if fill.activity_id not in booked:
            expected[fill.symbol] += fill.qty if fill.side == "buy" else -fill.qty
    return {symbol: qty for symbol, qty in expected.items() if qty} == {
        symbol: position.qty for symbol, position in positions.items()
    }


def live_and_unlisted(
    orders: Iterable[BrokerOrder], listed_open: Collection[str], asked_at: datetime, unlisted: Collection[str]
) -> bool:
    """True if an order is open that the list of open orders should have shown and did not."""
    return any(
        not is_terminal(order.status)
        and order.status not in unlisted
        and order.broker_order_id not in listed_open
        and order.submitted_at is not None
        and order.submitted_at < asked_at
        for order in orders
    )


def filled_and_not(orders: Mapping[str, BrokerOrder], fills: Iterable[BrokerFill]) -> str:
    """Return the order that has a fill and says that it has none: the two were read at different times."""
    for fill in fills:
        order = orders.get(fill.broker_order_id)
        if order is not None and order.filled_qty == 0 and not is_terminal(order.status):
            return order.broker_order_id
    return ""
