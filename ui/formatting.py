"""Numbers and times as people read them. Pure: values in, text out; never through float.

Money is shown to the cent, prices with every digit that they have (up to six), quantities as they are.
Numbers carry a true minus; what is not known is a dash.
"""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from zoneinfo import ZoneInfo

UNKNOWN = "–"
MINUS = "−"
NEW_YORK = ZoneInfo("America/New_York")

#: Wide enough for any stored number: rounding for the eye must not fail on a long one.
_WIDE = Context(prec=200, rounding=ROUND_HALF_EVEN)

Number = Decimal | int | str | None


def number_of(value: Number) -> Decimal | None:
    """Return the exact number; None for nothing. Raise TypeError for a float, ValueError for other text."""
    if value is None or value == "":
        return None
    if isinstance(value, float):
        raise TypeError(f"A float is not exact: {value!r}. Give a Decimal or its string.")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a number.") from error
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number.")
    return number


def money(value: Number) -> str:
    """1234.5 → 1,234.50"""
    return _spelled(value, least=2, most=2)


def price(value: Number) -> str:
    """172.3 → 172.30, 0.12345 → 0.12345; more than six places are rounded."""
    return _spelled(value, least=2, most=6)


def qty(value: Number) -> str:
    """74 → 74, 0.500 → 0.5, 1500 → 1,500; nine places, which is what Alpaca keeps."""
    return _spelled(value, least=0, most=9)


def percent(value: Number) -> str:
    """8 → 8.00 %"""
    text = _spelled(value, least=2, most=2)
    return text if text == UNKNOWN else f"{text} %"


def fraction(value: Number) -> str:
    """0.0825 → 8.25 %"""
    number = number_of(value)
    return UNKNOWN if number is None else percent(number * 100)


def ratio(value: Number) -> str:
    """2 → 2.00 : 1"""
    text = money(value)
    return text if text == UNKNOWN else f"{text} : 1"


def multiple(value: Number) -> str:
    """A result in units of the risk that was taken for it: 1.5 → +1.50 R"""
    text = signed(value)
    return text if text == UNKNOWN else f"{text} R"


def dollars(value: Number) -> str:
    """-310 → −$310.00"""
    text = money(value)
    if text == UNKNOWN:
        return text
    return f"{MINUS}${text[1:]}" if text.startswith(MINUS) else f"${text}"


def signed(value: Number) -> str:
    """1204.5 → +1,204.50, -310 → −310.00, 0 → 0.00"""
    text = money(value)
    rounded_is_zero = not any(digit in text for digit in "123456789")
    return text if rounded_is_zero or text.startswith(MINUS) else f"+{text}"


def share(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """Return `part` as percent of `whole`; None when that has no meaning."""
    return None if part is None or not whole else part / whole * 100


def _spelled(value: Number, *, least: int, most: int) -> str:
    number = number_of(value)
    if number is None:
        return UNKNOWN
    text = format(number.quantize(Decimal(1).scaleb(-most), context=_WIDE), ",f")
    whole, _, places = text.lstrip("-").partition(".")
    places = places.rstrip("0").ljust(least, "0")
    spelled = f"{whole}.{places}" if places else whole
    is_negative = text.startswith("-") and any(digit in spelled for digit in "123456789")
    return f"{MINUS}{spelled}" if is_negative else spelled


def in_new_york(at: datetime, *, today: date, style: str = "") -> str:
    """Say a time in New York: the date only when it is not today. Styles: "" seconds, "minute", "date", "full"."""
    local = at.astimezone(NEW_YORK)
    if style == "date":
        return f"{local:%Y-%m-%d}"
    clock = f"{local:%H:%M}" if style == "minute" else f"{local:%H:%M:%S}"
    day = "" if local.date() == today and style != "full" else f"{local:%Y-%m-%d} "
    return f"{day}{clock} ET"


def in_utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso_utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def span(seconds: float) -> str:
    """Say a duration by its two largest units at most: 12 s, 3 min, 2 h 14 min, 5 d 3 h."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def counted(number: int, one: str, many: str = "") -> str:
    """1 order, 7 orders, 1,200 orders."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def bytes_of(count: int | None) -> str:
    if count is None:
        return UNKNOWN
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            tenths = count * 10 // size
            return f"{tenths // 10}.{tenths % 10} {unit}"
    return f"{count} B"
