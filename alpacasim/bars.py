"""Candles from the price path: what a symbol would have cost in each window, the same at every call."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from . import sessions
from .clock import NYSE
from .times import NEW_YORK, SECOND, Nanos, from_datetime, to_datetime
from .venue import Venue

#: The path is looked at this often within a bar to find its high and low.
_LOOKS = 8
_TIMEFRAME = re.compile(r"(\d{1,2})(Min|T|Hour|H|Day|D)")
_UNITS = {"Min": 60, "T": 60, "Hour": 3600, "H": 3600}
_LONGEST = {"Min": 59, "T": 59, "Hour": 23, "H": 23, "Day": 1, "D": 1}


@dataclass(frozen=True, slots=True)
class Bar:
    start: Nanos
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


def parse_timeframe(text: str) -> int:
    """Return the length in seconds, 0 for a day. Raise ValueError for what Alpaca does not know."""
    match = _TIMEFRAME.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= _LONGEST[match[2]]:
        raise ValueError(f"not a timeframe: {text!r}")
    return int(match[1]) * _UNITS.get(match[2], 0)


def starts(venue: Venue, seconds: int, start: Nanos, end: Nanos) -> Iterator[Nanos]:
    """Yield the beginnings of the windows between start and end in which the market was open."""
    day = to_datetime(start, NEW_YORK).date()
    last = to_datetime(end, NEW_YORK).date()
    while day <= last:
        midnight = datetime.combine(day, time(), NEW_YORK)
        session = next(iter(sessions.sessions_between(day, day)), None)
        is_kept = venue.clock.mode != NYSE or session is not None
        step = seconds or 86_400
        for number in range(0, 86_400, step) if is_kept else ():
            at = from_datetime(midnight) + number * SECOND
            if venue.clock.mode == NYSE and seconds and session:
                is_traded = at + step * SECOND > session.open and at < session.close
            else:
                is_traded = True
            if is_traded and start <= at <= end:
                yield at
        day += timedelta(days=1)


def bar(venue: Venue, symbol: str, start: Nanos, seconds: int, now: Nanos) -> Bar:
    """The bar of one window; one that is still open ends now, at the price of now."""
    end = min(start + (seconds or 86_400) * SECOND, now)
    looks = [start + (end - start) * number // _LOOKS for number in range(_LOOKS + 1)]
    prices = [venue.prices.path(symbol, at) for at in looks]
    if end == now:
        prices[-1] = venue.prices.price(symbol, now)
    digest = hashlib.sha256(f"{symbol}:{start}:{seconds}".encode()).digest()
    volume = 1_000 + int.from_bytes(digest[:3], "big") % 100_000
    return Bar(start, prices[0], max(prices), min(prices), prices[-1], volume)
