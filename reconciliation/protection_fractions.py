"""Parts of a share, and shares without a price: what of them can be guarded at Alpaca, and why the rest is not. Pure.

Alpaca takes parts of a share in simple day orders only. A stop that is to last guards the whole shares, then; what is
left of them is less than one share, has no stop that lasts, and is told instead of being proposed for ever.
"""

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal

from broker.numbers import plain
from ui.formatting import qty


def whole(size: Decimal) -> Decimal:
    return size.to_integral_value(rounding=ROUND_FLOOR)


def is_fractional(size: Decimal) -> bool:
    return size != whole(size)


def all_that_lasts_is_covered(size: Decimal, covered: Decimal) -> bool:
    """Every whole share has its stop, and what is left is part of one."""
    return is_fractional(size) and covered >= whole(size) > 0


def fitting(size: Decimal, *, order_type: str, time_in_force: str) -> dict[str, str] | None:
    """Return what a stop becomes to guard `size`, in words that Alpaca takes; None if there are none.

    Of a part of a share alone the stop ends with the day: it would otherwise sell more than is held.
    """
    if not is_fractional(size) or (time_in_force == "day" and order_type != "trailing_stop"):
        return {"qty": plain(size) or "0"}
    if whole(size):
        return {"qty": plain(whole(size)) or "0"}
    if order_type == "trailing_stop":
        return None
    return {"qty": plain(size) or "0", "time_in_force": "day"}


def why_unguarded(symbol: str, size: Decimal, covered: Decimal, last: Decimal | None) -> Iterable[str]:
    """Say why some of what is held has no stop, and none is proposed."""
    if covered < size and all_that_lasts_is_covered(size, covered):
        rest = f"{qty(size - covered)} {symbol} has no stop that lasts"
        yield f"{rest}: Alpaca takes parts of a share in day orders only."
    if last is None and covered < size and not all_that_lasts_is_covered(size, covered):
        yield f"Alpaca tells no price of {symbol}: without one no stop is placed, as it could sell at once."
