"""Stop, target and risk of one position. Pure arithmetic: percentages are parameters, never constants here."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

from positions.accounting import Side
from positions.exact_numbers import WIDE

_CENT = Decimal("0.01")
_SUBCENT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Levels:
    """Prices in dollars a share, on the tick. `risk_per_share` is what is lost when the stop is hit."""

    stop_loss: Decimal
    target: Decimal
    risk_per_share: Decimal


def levels(*, entry_price: Decimal, side: Side, stop_loss_pct: Decimal, target_pct: Decimal) -> Levels:
    """Return where stop and target lie, `*_pct` percent from the exact entry: mirrored for a short."""
    with localcontext(WIDE):
        away = -1 if side == "long" else 1
        stop_loss = on_tick(entry_price * (1 + away * stop_loss_pct / 100))
        target = on_tick(entry_price * (1 - away * target_pct / 100))
        return Levels(stop_loss, target, abs(entry_price - stop_loss))


def total_risk(risk_per_share: Decimal, qty: Decimal) -> Decimal:
    """Return what the whole position loses at its stop, in dollars; the sign of `qty` does not matter."""
    with localcontext(WIDE):
        return risk_per_share * abs(qty)


def percent_between(entry_price: Decimal, level: Decimal) -> Decimal:
    """Return how far a level lies from the entry in percent, to two decimals as parameters have them."""
    with localcontext(WIDE):
        return (abs(entry_price - level) / entry_price * 100).quantize(_CENT, rounding=ROUND_HALF_UP)


def distance(level: Decimal, *, is_long: bool, last_price: Decimal, towards_loss: bool) -> Decimal:
    """Return how far the price may still go to a level, as a fraction of the last price; negative beyond it."""
    return (last_price - level if towards_loss == is_long else level - last_price) / last_price


def on_tick(price: Decimal) -> Decimal:
    """Round half up to what the venue accepts: cents from one dollar on, hundredths of a cent below; never 0."""
    return max(price.quantize(tick_of(price), rounding=ROUND_HALF_UP), _SUBCENT)


def tick_of(price: Decimal) -> Decimal:
    """Return the step between two prices that the venue accepts there."""
    return _CENT if price >= 1 else _SUBCENT
