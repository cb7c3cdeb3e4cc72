"""Alpaca's times: RFC 3339 with up to nine digits of a second and any offset. Pure."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)


def nanoseconds(text: str) -> int:
    """Return the nanoseconds since 1970 that `text` spells: nothing is lost, so it orders and steps exactly."""
    if (at := _usual(text)) is not None:
        since = at - EPOCH
        # Digits past the sixth of the second are not in `at`.
        return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000 + int(
            text[26:-1].ljust(3, "0")
        )
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time.")
    year, month, day, hour, minute, second, fraction, _zulu, sign, off_hours, off_minutes = match.groups()
    wall = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    seconds = (wall - EPOCH) // timedelta(seconds=1)
    if sign:
        seconds -= (1 if sign == "+" else -1) * (int(off_hours) * 3600 + int(off_minutes) * 60)
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def from_nanoseconds(count: int) -> datetime:
    """Return the UTC time, cut (not rounded) to microseconds."""
    try:
        return EPOCH + timedelta(microseconds=count // 1000)
    except OverflowError as error:
        raise ValueError("The time lies outside the calendar.") from error


def moment(text: str) -> datetime:
    """Return the UTC time that `text` spells, cut (not rounded) to microseconds."""
    return _usual(text) or from_nanoseconds(nanoseconds(text))


def _usual(text: str) -> datetime | None:
    """Read the one spelling that nearly all of Alpaca's times have, 2025-11-06T14:30:00[.123456789]Z, by C alone.

    None for any other: the pattern judges it. A history of years is some hundred thousand times.
    """
    if not (20 <= len(text) <= 30 and text.isascii() and text[-1] == "Z" and text[10] == "T"):
        return None
    has_fraction = text[19] == "." and len(text) > 21
    if not (text[4] == text[7] == "-" and text[13] == text[16] == ":" and (has_fraction or len(text) == 20)):
        return None
    if len(text) > 27 and not text[26:-1].isdigit():  # beyond the microseconds it would take anything
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def rfc3339(at: datetime) -> str:
    """Return `at` in UTC as Alpaca writes it; a naive time is refused, because it says no instant."""
    if at.tzinfo is None:
        raise ValueError("A time without a zone is no instant.")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def in_new_york(day: date, wall: time) -> datetime:
    return datetime.combine(day, wall, tzinfo=NEW_YORK).astimezone(UTC)
