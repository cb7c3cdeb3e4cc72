"""Decimals: read from strings or JSON numbers, written plainly with trailing zeros trimmed."""

import decimal
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
CENT = Decimal("0.01")
# Sixteen digits after the point is what the venue's own divisions carry.
DIVISION = Decimal(1).scaleb(-16)
_LIMIT = Decimal(10) ** 15


def parse(value: Any) -> Decimal:
    """Reads a decimal from a string or a JSON number (which the server parses to Decimal or int)."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"not a number: {value!r}")
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except decimal.InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
    if not number.is_finite() or abs(number) >= _LIMIT:
        raise ValueError(f"out of range: {value!r}")
    return number


def plain(number: Decimal) -> str:
    """`Decimal('1E+2')` as `100`, `Decimal('172.30')` as `172.3`, never an exponent, never `-0`."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def plain_or_none(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def places(number: Decimal) -> int:
    """How many digits after the point matter: 0 for `12.0`, 3 for `290.123`."""
    _, _, tail = plain(number).partition(".")
    return len(tail)


def divide(dividend: Decimal, divisor: Decimal) -> Decimal:
    return (dividend / divisor).quantize(DIVISION)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=decimal.ROUND_HALF_UP)
