"""What the cash must be: entries, and what fills paid. Pure.

Alpaca keeps cash in cents. Here each fill is rounded to cents by itself; Alpaca may round otherwise, so every fill
whose value is no whole number of cents allows for one cent (`CashBooks.tolerance`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext

from positions.exact_numbers import WIDE

_CENT = Decimal("0.01")
_ZERO = Decimal(0)
#: Whatever is rounded, this much is nobody's error.
LEAST_TOLERANCE = Decimal("0.05")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What fills did to the cash, in dollars: bought is negative."""

    fills: int = 0
    net: Decimal = _ZERO
    uneven: int = 0

    def __add__(self, other: "Paid") -> "Paid":
        return Paid(fills=self.fills + other.fills, net=self.net + other.net, uneven=self.uneven + other.uneven)


@dataclass(frozen=True, slots=True, kw_only=True)
class CashBooks:
    """What the cash must be by our books. `opened_at` is by Alpaca's clock: the opening holds all that was before."""

    opened_at: datetime
    expected: Decimal
    uneven: int = 0

    @property
    def tolerance(self) -> Decimal:
        return LEAST_TOLERANCE + _CENT * self.uneven


def paid_for(side: str, qty: Decimal, price: Decimal) -> Paid:
    """Return what one fill did to the cash."""
    return total_of([(side, qty, price)])


def total_of(fills: Iterable[tuple[str, Decimal, Decimal]]) -> Paid:
    """Add up fills, each given as side, quantity and price."""
    count, net, uneven = 0, _ZERO, 0
    with localcontext(WIDE):
        for side, qty, price in fills:
            value = qty * price
            cents = (-value if side == "buy" else value).quantize(_CENT, rounding=ROUND_HALF_UP)
            count, net, uneven = count + 1, net + cents, uneven + (abs(cents) != abs(value))
    return Paid(fills=count, net=net, uneven=uneven)
