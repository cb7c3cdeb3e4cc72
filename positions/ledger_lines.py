"""One round trip's ledger as lines for people: each fill and adjustment, and what was held after it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orders.models import Fill
from positions.accounting import LedgerEntry, fold
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
    for entry in entries:
        held += entry.qty
        lines.append(_line(entry, held, fills, adjustments))
    return lines


def _line(entry: LedgerEntry, held: Decimal, fills: dict[str, Fill], adjustments: dict[str, Adjustment]) -> LedgerLine:
    is_fill = entry.kind == "fill"
    return LedgerLine(
        at=entry.at,
        qty=entry.qty,
        price=entry.price,
        held=held,
        is_estimated=entry.is_estimated,
        fill=fills.get(entry.order_key) if is_fill else None,
        adjustment=None if is_fill else adjustments.get(entry.order_key),
    )
