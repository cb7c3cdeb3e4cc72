"""Instants as integer nanoseconds since the epoch, and the ways Alpaca writes them."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

Nanos = int

NEW_YORK = ZoneInfo("America/New_York")
SECOND: Nanos = 1_000_000_000
MILLISECOND: Nanos = 1_000_000
DAY: Nanos = 86_400 * SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|z|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def from_datetime(moment: datetime) -> Nanos:
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds * 1000


def to_datetime(instant: Nanos, zone: ZoneInfo | None = None) -> datetime:
    """The instant cut to microseconds, in UTC or in the given zone."""
    moment = _EPOCH + timedelta(microseconds=instant // 1000)
    return moment.astimezone(zone) if zone else moment


def parse_instant(text: str) -> Nanos:
    """Reads RFC 3339 with up to nine fractional digits, or a bare date (midnight UTC).

    A time without an offset is refused: it would mean another instant on every reader's machine.
    """
    if _DATE.fullmatch(text):
        return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    day, clock, fraction, offset = match.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in 'Zz' else offset}")
    return from_datetime(whole) + int((fraction or "").ljust(9, "0"))


def format_instant(instant: Nanos, zone: ZoneInfo | None = None) -> str:
    """RFC 3339 with the fraction's trailing zeros trimmed; `Z`, or the zone's offset when one is given."""
    moment = to_datetime(instant, zone)
    fraction = f"{instant % SECOND:09d}".rstrip("0")
    # isoformat costs a third of strftime, and a long list has thousands of instants.
    whole = moment.isoformat(timespec="seconds")[:19]
    return whole + (f".{fraction}" if fraction else "") + ("Z" if zone is None else _offset(moment))


def _offset(moment: datetime) -> str:
    seconds = int((moment.utcoffset() or timedelta()).total_seconds())
    if seconds == 0:
        return "Z"
    sign, minutes = ("-" if seconds < 0 else "+"), abs(seconds) // 60
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def new_york_date(instant: Nanos) -> date:
    return to_datetime(instant, NEW_YORK).date()


def new_york_stamp(instant: Nanos) -> str:
    """`YYYYMMDDHHMMSSmmm` in New York local time, as activity ids begin."""
    return to_datetime(instant, NEW_YORK).strftime("%Y%m%d%H%M%S") + f"{instant % SECOND // MILLISECOND:03d}"
