"""What an order is reckoned to cost before it is sent, and where that price comes from. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from broker.types import BrokerPosition
from orders.batch_line import Line, decimal_places

CENT_PLACES = 2


@dataclass(frozen=True, slots=True)
class ReferencePrice:
    dollars: Decimal
    source: str

    def __str__(self) -> str:
        places = max(CENT_PLACES, decimal_places(self.dollars))
        return f"${self.dollars:,.{places}f}, {self.source}"


def needs_market_price(line: Line) -> bool:
    """True when neither the order's own dollars nor a limit price say what it costs."""
    return line.notional is None and line.limit_price is None


def reference_price(
    line: Line, latest: Mapping[str, Decimal], positions: Mapping[str, BrokerPosition]
) -> ReferencePrice | None:
    """Return the limit price, else what the stock costs now; None when nobody knows.

    A buy stop is bought at its stop price or above, so the higher of the two counts.
    """
    if line.limit_price is not None:
        return ReferencePrice(line.limit_price, "its limit price")
    market = _market_price(line.symbol, latest, positions)
    if line.stop_price is None:
        return market
    if market is None or (line.side == "buy" and line.stop_price > market.dollars):
        return ReferencePrice(line.stop_price, "its stop price")
    return market


def _market_price(
    symbol: str, latest: Mapping[str, Decimal], positions: Mapping[str, BrokerPosition]
) -> ReferencePrice | None:
    if symbol in latest:
        return ReferencePrice(latest[symbol], "the latest trade")
    held = positions.get(symbol)
    if held is None or held.current_price is None:
        return None
    return ReferencePrice(held.current_price, "the price of the position held")
