"""Shares that a live exit is to sell cannot be sold by another order: Alpaca refuses that. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_FLOOR, Decimal

from broker.numbers import exact_or_none, plain
from broker.types import BrokerPosition
from orders.batch_line import Line

_WARNING = "Exits at Alpaca hold shares that these lines would close, which Alpaca refuses until they are cancelled"


def held_by_exits(lines: Iterable[Line], positions: Mapping[str, BrokerPosition]) -> Iterator[str]:
    """Yield a warning, if there is reason for one, with how much of each position is free."""
    closing: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        held = positions.get(line.symbol)
        if line.cancel_exits_first:
            continue
        if held is not None and line.qty is not None and (held.qty > 0) == (line.side == "sell"):
            closing[line.symbol] += line.qty
    named = []
    for symbol, qty in sorted(closing.items()):
        size, free = abs(positions[symbol].qty), free_qty(positions[symbol])
        if free is not None and free < min(qty, size):
            named.append(f"{symbol} ({plain(free)} of {plain(size)} free)")
    if named:
        yield f"{_WARNING}: {', '.join(named)}."


def free_qty(position: BrokerPosition) -> Decimal | None:
    """What no order holds, unsigned; None when Alpaca does not say. Orders may hold more than there is."""
    free = exact_or_none(position.raw.get("qty_available"))
    if free is None:
        return None
    return max(free, Decimal(0)) if position.qty > 0 else abs(free)


def surely_free_qty(position: BrokerPosition) -> Decimal:
    """Whole shares that no order holds; none where Alpaca does not say so beyond doubt, with the position's sign."""
    free = exact_or_none(position.raw.get("qty_available")) or Decimal(0)
    signed = free if position.qty > 0 else -free
    return max(signed, Decimal(0)).to_integral_value(rounding=ROUND_FLOOR)
