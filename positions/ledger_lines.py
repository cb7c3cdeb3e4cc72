"""One round trip's ledger as lines for people: each fill and adjustment, and what was held after it.

A line says what was executed then. Where the shares were split afterwards it also says what that is in today's shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from orders.models import Fill
from positions.accounting import LedgerEntry, fold
from positions.exact_numbers import WIDE, split_factor, times
from positions.models import Adjustment, Position
from positions.rebuilding import ledger_of


@dataclass(frozen=True, slots=True)
class LedgerLine:
    at: datetime
    qty: Decimal  # signed
    price: Decimal
    held: Decimal  # signed, after this line
    is_estimated: bool
    fill: Fill | None
    adjustment: Adjustment | None
    factor: Fraction = Fraction(1)  # of all splits after it: so many of today's shares for one of then

    @property
    def ratio(self) -> Decimal | None:
        """Of a split: so many new shares for one old share."""
        return self.adjustment.ratio if self.adjustment else None

    @property
    def is_rescaled(self) -> bool:
        return self.factor != 1 and self.qty != 0

    @property
    def qty_today(self) -> Decimal:
        return times(self.qty, self.factor)

    @property
    def price_today(self) -> Decimal:
        """Dollars for one of today's shares: the money is the same."""
        return in_todays_shares(self.price, self.factor)


def in_todays_shares(price: Decimal, factor: Fraction) -> Decimal:
    """Return what a price of then is for one of the shares that a split made of it."""
    return WIDE.divide(price * factor.denominator, Decimal(factor.numerator)).quantize(Decimal("1e-9"))


def ledger_lines(position: Position) -> list[LedgerLine]:
    """Return the lines of this round trip, oldest first; a fill that flips a position shows with its own part."""
    account, symbol = position.account, position.symbol
    trips = fold(ledger_of(account, [symbol]).get(symbol, ()))
    entries = next((trip.entries for trip in trips if trip.sequence == position.sequence), ())
    keys = [entry.order_key for entry in entries]
    fills = {
        fill.activity_id: fill
        for fill in Fill.objects.filter(account=account, activity_id__in=keys).select_related("order")
    }
    adjustments = {line.reference: line for line in Adjustment.objects.filter(account=account, reference__in=keys)}
    held = Decimal(0)
    lines = []
    factors = _factors_after(entries)
    for entry, factor in zip(entries, factors, strict=True):
        held = times(held, split_factor(entry.ratio)) if entry.ratio is not None else held + entry.qty
        lines.append(_line(entry, held, factor, fills, adjustments))
    return lines


def _factors_after(entries: Sequence[LedgerEntry]) -> list[Fraction]:
    """For each entry, what all the splits behind it make of one of its shares."""
    factors, factor = [], Fraction(1)
    for entry in reversed(entries):
        factors.append(factor)
        if entry.ratio is not None:
            factor *= split_factor(entry.ratio)
    return factors[::-1]


def _line(
    entry: LedgerEntry, held: Decimal, factor: Fraction, fills: dict[str, Fill], adjustments: dict[str, Adjustment]
) -> LedgerLine:
    is_fill = entry.kind == "fill"
    return LedgerLine(
        at=entry.at,
        qty=entry.qty,
        price=entry.price,
        held=held,
        is_estimated=entry.is_estimated,
        fill=fills.get(entry.order_key) if is_fill else None,
        adjustment=None if is_fill else adjustments.get(entry.order_key),
        factor=factor,
    )
