"""What is held of a symbol at Alpaca, its plan in our books, and the exits that are live there. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerOrder
from orders.lifecycle import is_terminal
from reconciliation.evidence import BrokerEvidence, LocalPosition, LocalRecord
from reconciliation.order_comparison import group_of
from reconciliation.protection import STOP_TYPES, Held, LiveOrder, are_mates, is_beyond, is_live, was_opened_before

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One symbol: what is held, its plan, and the orders that can still fill."""

    symbol: str
    held: Held | None  # None: flat
    ours: LocalPosition | None
    entry_price: Decimal | None
    orders: tuple[BrokerOrder, ...]
    live: tuple[LiveOrder, ...]
    ended: tuple[BrokerOrder, ...]

    @property
    def size(self) -> Decimal:
        return abs(self.held.qty) if self.held else _ZERO

    def order(self, order_id: str) -> BrokerOrder:
        return next(order for order in self.orders if order.broker_order_id == order_id)


def guards(record: LocalRecord, evidence: BrokerEvidence) -> list[Guard]:
    """One for each symbol in which something is held or an order can fill."""
    by_symbol: dict[str, list[BrokerOrder]] = defaultdict(list)
    for order in evidence.orders.values():
        by_symbol[order.symbol].append(order)
    alive = {symbol for symbol, found in by_symbol.items() if not all(is_terminal(o.status) for o in found)}
    return [
        _guard(symbol, by_symbol[symbol], record, evidence)
        for symbol in sorted(alive | {s for s, held in evidence.positions.items() if held.qty})
    ]


def guard_of(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> Guard:
    orders = [order for order in evidence.orders.values() if order.symbol == symbol]
    return _guard(symbol, orders, record, evidence)


def _guard(symbol: str, orders: Sequence[BrokerOrder], record: LocalRecord, evidence: BrokerEvidence) -> Guard:
    theirs, ours = evidence.positions.get(symbol), record.positions.get(symbol)
    alive = tuple(order for order in orders if not is_terminal(order.status))
    held = None
    if theirs is not None and theirs.qty:
        planned = ours if ours is not None and ours.qty and (ours.qty > 0) == (theirs.qty > 0) else None
        held = Held(
            symbol=symbol,
            qty=theirs.qty,
            last=theirs.current_price,
            stop=planned.stop_loss if planned else None,
            target=planned.target if planned else None,
            is_overnight=planned is not None and was_opened_before(planned.opened_at, evidence.clock.timestamp),
        )
    return Guard(
        symbol=symbol,
        held=held,
        ours=ours,
        entry_price=theirs.avg_entry_price if theirs else None,
        orders=alive,
        live=tuple(_live(order) for order in alive),
        ended=tuple(order for order in orders if is_terminal(order.status)),
    )


def _live(order: BrokerOrder) -> LiveOrder:
    return LiveOrder(
        order_id=order.broker_order_id,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        status=order.status,
        leaves=max((order.qty or _ZERO) - order.filled_qty, _ZERO),
        stop_price=order.stop_price,
        limit_price=order.limit_price,
        time_in_force=order.time_in_force,
        group_id=group_of(order),
        leg_ids=order.leg_ids,
    )


# --- Exits, in pairs that Alpaca fills once -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unit:
    """Live exits of which only one can fill: an OCO or the legs of a bracket; or one alone."""

    orders: tuple[LiveOrder, ...]

    @property
    def leaves(self) -> Decimal:
        return max(order.leaves for order in self.orders)

    @property
    def has_stop(self) -> bool:
        return any(order.order_type in STOP_TYPES for order in self.orders)

    @property
    def first(self) -> LiveOrder:
        """The one by which Alpaca ends them all: it works; a held one only waits beside it."""
        return min(self.orders, key=lambda order: (order.status == "held", order.order_id))


def units(guard: Guard, side: str | None) -> list[Unit]:
    """Return the live exits of one side, or of both when nothing is held."""
    exits = [
        order
        for order in guard.live
        if side in (None, order.side) and is_live(order, guard.live) and order.leaves
        and is_exit(guard.order(order.order_id))
    ]  # fmt: skip
    found: list[list[LiveOrder]] = []
    for order in exits:
        mates = next((unit for unit in found if any(are_mates(order, other) for other in unit)), None)
        if mates is None:
            found.append([order])
        else:
            mates.append(order)
    return [Unit(tuple(unit)) for unit in found]


def may_be_beyond(held: Held, stop: Decimal) -> bool:
    """True unless a price proves that a stop placed now would not sell at once."""
    return held.last is None or is_beyond(held, stop)


def is_exit(order: BrokerOrder) -> bool:
    """Alpaca says what an order was for when it was placed; legs say it by their place in the group."""
    intent = str(order.raw.get("position_intent") or "")
    if intent:
        return intent.endswith("_to_close")
    return order.order_class == "oco" or order.raw.get("group_role") in {"take_profit", "stop_loss"}


# --- Spelling -------------------------------------------------------------------------------------------------


def say(order: BrokerOrder) -> str:
    """An exit in a few words: the stop to sell 10 QCOM at 90."""
    kind = {"stop": "stop", "stop_limit": "stop-limit", "trailing_stop": "trailing stop"}.get(order.order_type, "order")
    level = order.stop_price if order.order_type in STOP_TYPES else order.limit_price
    at = f" at {plain(level)}" if level is not None and order.order_type != "trailing_stop" else ""
    size = plain(order.qty) if order.qty is not None else f"${plain(order.notional)} of"
    return f"The {kind} to {order.side} {size} {order.symbol}{at}"


def exit_facts(order: BrokerOrder) -> dict[str, Any]:
    return {
        "broker_order_id": order.broker_order_id,
        "side": order.side,
        "order_type": order.order_type,
        "order_class": order.order_class,
        "time_in_force": order.time_in_force,
        "qty": plain(order.qty),
        "filled_qty": plain(order.filled_qty),
        # A trailing stop moves with the market.
        "stop_price": None if order.order_type == "trailing_stop" else plain(order.stop_price),
        "limit_price": plain(order.limit_price),
        "status": order.status,
    }
