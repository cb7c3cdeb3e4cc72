"""Alpaca's calendar, kept in rows: which days are sessions, and when each closes. Half days and holidays included.

It is asked for once a day, so that what happens at the close needs no answer from Alpaca at that moment. A day that is
not in the rows is judged by its weekday, and whoever relies on it is told so.
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db import transaction

from broker.errors import BrokerError, UnreadableAnswer
from broker.gateway import Gateway, open_gateway
from broker.models import Account, TradingDay
from broker.times import NEW_YORK, in_new_york
from broker.types import TradingDay as BrokerTradingDay

#: Behind today, so that a session that was missed is found again; ahead, so that Alpaca may be away for weeks.
DAYS_BEHIND, DAYS_AHEAD = 14, 60
#: The market has never been closed for longer at a stretch since 1933; beyond it nothing is looked for.
LONGEST_CLOSURE_DAYS = 10
USUAL_OPEN, USUAL_CLOSE = time(9, 30), time(16, 0)
#: Rows that no session will ask for again.
KEPT_DAYS = 400

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """One day of trading; `is_assumed`: the calendar of that day is not known, its weekday and usual hours are."""

    day: date
    open_at: datetime
    close_at: datetime
    is_assumed: bool = False


def read_calendar(*, gateway: Gateway, now: datetime) -> int:
    """Read the calendar around `now` and keep it; return how many days are new or have changed."""
    today = now.astimezone(NEW_YORK).date()
    first, last = today - timedelta(days=DAYS_BEHIND), today + timedelta(days=DAYS_AHEAD)
    sessions = {session.day: session for session in gateway.get_calendar(first, last) if first <= session.day <= last}
    _refuse_nonsense(sessions, first, last)
    return _keep(sessions, first, last, now)


def refresh_trading_days(*, now: datetime) -> int:
    """Read it by the first active account that is answered. Raises the last BrokerError if none is. No transaction."""
    failure: BrokerError | None = None
    for account in Account.objects.active().order_by("slug"):
        try:
            return read_calendar(gateway=open_gateway(account), now=now)
        except BrokerError as error:
            failure = error
            logger.warning("the trading calendar could not be read by account %s: %s", account.slug, error)
    if failure is not None:
        raise failure
    return 0


def _refuse_nonsense(sessions: dict[date, BrokerTradingDay], first: date, last: date) -> None:
    """What was not told is not a holiday: an answer with a gap that no holiday explains was cut short."""
    before = first - timedelta(days=1)
    for day in (*sorted(sessions), last + timedelta(days=1)):
        if (day - before).days > LONGEST_CLOSURE_DAYS:
            raise UnreadableAnswer(
                f"Alpaca's calendar has no session between {before} and {day}. It was left as it was; try again later."
            )
        before = day
    for session in sessions.values():
        if session.close_at <= session.open_at:
            raise UnreadableAnswer(f"Alpaca's calendar closes {session.day} before it opens. It was left as it was.")


def _keep(sessions: dict[date, BrokerTradingDay], first: date, last: date, now: datetime) -> int:
    wanted = {}
    for day in (first + timedelta(days=number) for number in range((last - first).days + 1)):
        session = sessions.get(day)
        wanted[day] = (session.open_at, session.close_at) if session else (None, None)
    with transaction.atomic():
        known = {row.day: (row.open_at, row.close_at) for row in TradingDay.objects.filter(day__in=wanted)}
        TradingDay.objects.bulk_create(
            [
                TradingDay(day=day, open_at=open_at, close_at=close_at, read_at=now)
                for day, (open_at, close_at) in wanted.items()
            ],
            update_conflicts=True,
            unique_fields=["day"],
            update_fields=["open_at", "close_at", "read_at"],
        )
        TradingDay.objects.filter(day__lt=first - timedelta(days=KEPT_DAYS)).delete()
    changed = sum(known.get(day) != times for day, times in wanted.items())
    for day in (day for day, times in known.items() if wanted[day] != times):
        logger.warning("Alpaca's calendar has changed: %s", TradingDay.objects.get(day=day))
    return changed


def newest_closed(now: datetime) -> Session | None:
    """Return the last session that has closed by `now`; None only if there is none for many days."""
    today = now.astimezone(NEW_YORK).date()
    sessions = sessions_between(today - timedelta(days=LONGEST_CLOSURE_DAYS), today)
    return next((session for session in reversed(sessions) if session.close_at <= now), None)


def next_to_close(now: datetime) -> Session | None:
    """Return the session that closes next, whether it has opened or not."""
    today = now.astimezone(NEW_YORK).date()
    sessions = sessions_between(today, today + timedelta(days=LONGEST_CLOSURE_DAYS))
    return next((session for session in sessions if session.close_at > now), None)


def sessions_between(first: date, last: date) -> list[Session]:
    rows = {row.day: row for row in TradingDay.objects.filter(day__gte=first, day__lte=last)}
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    found = (_session(day, rows.get(day)) for day in days)
    return [session for session in found if session is not None]


def _session(day: date, row: TradingDay | None) -> Session | None:
    if row is None:
        if day.weekday() >= 5:
            return None
        return Session(day, in_new_york(day, USUAL_OPEN), in_new_york(day, USUAL_CLOSE), is_assumed=True)
    if row.open_at is None or row.close_at is None:
        return None
    return Session(day, row.open_at, row.close_at)
