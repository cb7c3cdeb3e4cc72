"""Decimals as the ledger needs them: sums without rounding, one spelling for one number, shares after a split. Pure."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction

#: Wide enough that its last digit never shows in a result.
WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_LAST_PLACE = Decimal("1e-18")
#: Brokers keep nine places of a share: what a split makes more of is no share.
_SMALLEST_SHARE = Decimal("1e-9")
#: No company splits its shares in larger numbers than these: 0.333333333333333333 stands for one of three.
_MOST_PARTS = 10_000
_ZERO, _ONE = Decimal(0), Decimal(1)


def split_factor(ratio: Decimal) -> Fraction:
    """Return the exact ratio that a decimal stands for: no decimal spells one new share for three old ones."""
    exact = Fraction(ratio)
    near = exact.limit_denominator(_MOST_PARTS)
    return near if abs(near - exact) * 10**15 <= near else exact


def times(qty: Decimal, factor: Fraction) -> Decimal:
    """Return what a split makes of a quantity, in shares as brokers keep them."""
    with localcontext(WIDE):
        scaled = qty * factor.numerator / factor.denominator
        if scaled != scaled.quantize(_LAST_PLACE):  # thirds, and the like
            scaled = scaled.quantize(_SMALLEST_SHARE) or scaled
        return plain(scaled)


def cut(number: Decimal) -> Decimal:
    return plain(number.quantize(_LAST_PLACE))


def plain(number: Decimal) -> Decimal:
    """Return the number spelled in one way only: no trailing zeros, no exponent, no negative zero. Needs WIDE."""
    if not number:
        return _ZERO
    whole = number.quantize(_ONE)
    return whole if whole == number else number.normalize()
