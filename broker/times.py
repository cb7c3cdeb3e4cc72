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
    return from_nanoseconds(nanoseconds(text))


def rfc3339(at: datetime) -> str:
    """Return `at` in UTC as Alpaca writes it; a naive time is refused, because it says no instant."""
    if at.tzinfo is None:
        raise ValueError("A time without a zone is no instant.")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def in_new_york(day: date, wall: time) -> datetime:
    return datetime.combine(day, wall, tzinfo=NEW_YORK).astimezone(UTC)
