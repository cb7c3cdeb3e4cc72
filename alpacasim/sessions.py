"""The New York Stock Exchange's calendar: trading days, holidays, early closes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from .times import NEW_YORK, Nanos, from_datetime, new_york_date

MONDAY, THURSDAY, FRIDAY = 0, 3, 4
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day."""

    day: date
    close_time: time

    @property
    def open(self) -> Nanos:
        return _at(self.day, time(9, 30))

    @property
    def close(self) -> Nanos:
        return _at(self.day, self.close_time)

    @property
    def extended_open(self) -> Nanos:
        return _at(self.day, time(4))

    @property
    def extended_close(self) -> Nanos:
        return _at(self.day, time(20) if self.close_time == time(16) else time(17))

    def to_json(self) -> dict[str, Any]:
        return {
            "close": self.close_time.strftime("%H:%M"),
            "date": self.day.isoformat(),
            "open": "09:30",
            "session_close": "2000" if self.close_time == time(16) else "1700",
            "session_open": "0400",
            "settlement_date": next(sessions_from(self.day + _ONE_DAY)).day.isoformat(),
        }


@lru_cache(maxsize=10_000)
def _at(day: date, clock: time) -> Nanos:
    return from_datetime(datetime.combine(day, clock, NEW_YORK))


@lru_cache(maxsize=10_000)
def session_on(day: date) -> Session | None:
    if day.weekday() > FRIDAY or day in holidays(day.year):
        return None
    return Session(day, time(13) if day in early_closes(day.year) else time(16))


def sessions_from(day: date) -> Iterator[Session]:
    """Sessions on or after the day, without end."""
    while True:
        session = session_on(day)
        if session:
            yield session
        day += _ONE_DAY


def sessions_between(start: date, end: date) -> list[Session]:
    days = (start + timedelta(days=n) for n in range((end - start).days + 1))
    return [session for day in days if (session := session_on(day))]


def current_session(at: Nanos) -> Session | None:
    """The session whose regular hours contain the instant."""
    session = session_on(new_york_date(at))
    return session if session and session.open <= at < session.close else None


def in_extended_hours(at: Nanos) -> bool:
    session = session_on(new_york_date(at))
    return session is not None and session.extended_open <= at < session.extended_close


def next_open(at: Nanos) -> Nanos:
    return next(s.open for s in sessions_from(new_york_date(at)) if s.open > at)


def next_close(at: Nanos) -> Nanos:
    return next(s.close for s in sessions_from(new_york_date(at)) if s.close > at)


def previous_close(at: Nanos) -> Nanos:
    """The close of the last session that ended before the instant's New York day."""
    day = new_york_date(at) - _ONE_DAY
    while (session := session_on(day)) is None:
        day -= _ONE_DAY
    return session.close


@lru_cache
def holidays(year: int) -> frozenset[date]:
    days = {
        _nth(year, 1, MONDAY, 3),  # Martin Luther King Jr. Day
        _nth(year, 2, MONDAY, 3),  # Washington's Birthday
        _easter(year) - timedelta(days=2),  # Good Friday
        _last_monday_of_may(year),  # Memorial Day
        _nth(year, 9, MONDAY, 1),  # Labor Day
        _nth(year, 11, THURSDAY, 4),  # Thanksgiving
    }
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= 2022:
        fixed.append(date(year, 6, 19))
    days.update(_observed(day) for day in fixed)
    new_year = date(year, 1, 1)
    # A New Year's Day on a Saturday is not made up for: the Friday before belongs to the old year's books.
    if new_year.weekday() != 5:
        days.add(_observed(new_year))
    return frozenset(days)


@lru_cache
def early_closes(year: int) -> frozenset[date]:
    candidates = {_nth(year, 11, THURSDAY, 4) + _ONE_DAY, date(year, 7, 3), date(year, 12, 24)}
    return frozenset(day for day in candidates if day.weekday() <= FRIDAY and day not in holidays(year))


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _observed(day: date) -> date:
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _easter(year: int) -> date:
    """Easter Sunday in the Gregorian calendar (the anonymous computus)."""
    golden = year % 19
    century, rest = divmod(year, 100)
    leap, odd = divmod(century, 4)
    moon = (19 * golden + century - leap - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    quarter, left = divmod(rest, 4)
    to_sunday = (32 + 2 * odd + 2 * quarter - moon - left) % 7
    shift = (golden + 11 * moon + 22 * to_sunday) // 451
    month, day = divmod(moon + to_sunday - 7 * shift + 114, 31)
    return date(year, month, day + 1)
