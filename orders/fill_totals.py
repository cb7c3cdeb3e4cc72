"""Do an order's fills add up to what Alpaca says was filled? Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

#: Alpaca rounds its average; a difference below this is no difference.
AVERAGE_TOLERANCE = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Totals:
    count: int
    qty: Decimal
    average: Decimal | None
    dollars: Decimal
    missing_qty: Decimal  # negative when more is booked than Alpaca says was filled
    is_average_equal: bool

    @property
    def is_complete(self) -> bool:
        return self.missing_qty == 0

    @property
    def surplus_qty(self) -> Decimal:
        return max(-self.missing_qty, Decimal(0))


def totals_of(
    executions: Iterable[tuple[Decimal, Decimal]], *, filled_qty: Decimal, filled_avg_price: Decimal | None
) -> Totals:
    """`executions` are quantity and price of each fill."""
    with localcontext(prec=60):
        pairs = list(executions)
        qty = sum((qty for qty, _price in pairs), Decimal(0))
        dollars = sum((qty * price for qty, price in pairs), Decimal(0))
        average = dollars / qty if qty else None
        is_equal = True
        if average is not None and filled_avg_price is not None and qty == filled_qty:
            is_equal = abs(average - filled_avg_price) < AVERAGE_TOLERANCE
        return Totals(len(pairs), qty, average, dollars, filled_qty - qty, is_equal)
