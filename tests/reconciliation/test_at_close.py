"""The run at the close: once for every session, by the stored calendar, and made up once after a time without us."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import LazySettings
from django_q.models import Schedule

from alpacasim.sessions import sessions_between
from broker.models import Account, TradingDay
from broker.trading_days import Session
from reconciliation import at_close, tasks
from reconciliation.at_close import next_close_run, request_close_runs
from reconciliation.models import Run
from tests.factories import make_account
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db
NEW_YORK = ZoneInfo("America/New_York")
FIRST, LAST = date(2025, 10, 20), date(2026, 12, 31)
#: As the exchange announced them.
HALF_DAYS = {date(2025, 11, 28), date(2025, 12, 24), date(2026, 11, 27), date(2026, 12, 24)}
HOLIDAYS = {
    date(2025, 11, 27), date(2025, 12, 25), date(2026, 1, 1), date(2026, 1, 19), date(2026, 2, 16), date(2026, 4, 3),
    date(2026, 5, 25), date(2026, 6, 19), date(2026, 7, 3), date(2026, 9, 7), date(2026, 11, 26), date(2026, 12, 25),
}  # fmt: skip


def new_york(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)


def days(first: date = FIRST, last: date = LAST) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


@pytest.fixture
def calendar() -> None:
    """Fourteen months as rows, made from the announced days and not by what reads them."""
    rows = []
    for day in days():
        is_closed = day.weekday() >= 5 or day in HOLIDAYS
        close_at = new_york(day, 13 if day in HALF_DAYS else 16)
        times = {} if is_closed else {"open_at": new_york(day, 9, 30), "close_at": close_at}
        rows.append(TradingDay(day=day, read_at=close_at, **times))
    TradingDay.objects.bulk_create(rows)


@pytest.fixture
def account() -> Account:
    return make_account(bound_at=new_york(FIRST - timedelta(days=3), 10))


def requested() -> list[datetime]:
    return list(Run.objects.filter(trigger="close").order_by("pk").values_list("requested_at", flat=True))


def test_the_announced_days_are_those_of_the_simulator() -> None:
    sessions = sessions_between(FIRST, LAST)
    assert {session.day for session in sessions if session.close_time == time(13)} == HALF_DAYS
    assert {day for day in days() if day.weekday() < 5} - {session.day for session in sessions} == HOLIDAYS


def test_a_year_of_closes(calendar: None, account: Account) -> None:
    """Morning and evening of every day, and around every close: one run for each session, at its close."""
    expected, moments = [], []
    for day in days(FIRST, date(2026, 12, 30)):
        moments += [new_york(day, hour) for hour in (4, 20)]
        if day.weekday() < 5 and day not in HOLIDAYS:
            close_at = new_york(day, 13 if day in HALF_DAYS else 16)
            expected.append(close_at)
            moments += [close_at + timedelta(minutes=minutes) for minutes in (-5, 0, 5)]
    for now in sorted(set(moments)):
        request_close_runs(now=now)
        if now == new_york(FIRST, 4):
            Run.objects.all().delete()  # of the session before the first day
    assert requested() == expected
    assert {at.hour for at in expected} == {18, 20, 21}  # summer 20:00, winter 21:00, half days 18:00 UTC


@pytest.mark.parametrize(
    ("day", "hour_utc"),
    [
        (date(2025, 10, 31), 20),  # the last summer close
        (date(2025, 11, 3), 21),
        (date(2026, 3, 6), 21),  # the last winter close
        (date(2026, 3, 9), 20),
    ],
)
def test_around_both_changes_of_the_clocks(calendar: None, account: Account, day: date, hour_utc: int) -> None:
    request_close_runs(now=new_york(day, 9))  # of the session before
    close_at = datetime.combine(day, time(hour_utc), UTC)
    assert request_close_runs(now=close_at - timedelta(seconds=1)) == 0
    assert request_close_runs(now=close_at) == 1


def test_what_was_missed_is_made_up_once_and_only_the_newest(calendar: None, account: Account) -> None:
    friday = date(2025, 11, 7)
    request_close_runs(now=new_york(friday, 16))
    # Down until the Wednesday after next, before its close: seven sessions were missed.
    start = new_york(date(2025, 11, 19), 8)
    assert [request_close_runs(now=start + timedelta(minutes=5 * number)) for number in range(6)] == [1, 0, 0, 0, 0, 0]
    account.refresh_from_db()
    assert account.closed_through == date(2025, 11, 18)
    assert Run.objects.latest("pk").requested_by == "system:close of 2025-11-18"
    assert request_close_runs(now=new_york(date(2025, 11, 19), 16)) == 1, "the day's own close comes besides"


def test_a_start_after_a_holiday_makes_up_the_session_before_it(calendar: None, account: Account) -> None:
    request_close_runs(now=new_york(date(2025, 11, 25), 16))
    assert request_close_runs(now=new_york(date(2025, 11, 27), 18)) == 1  # Thanksgiving
    account.refresh_from_db()
    assert account.closed_through == date(2025, 11, 26)


def test_books_that_began_after_the_close_have_nothing_to_make_up(calendar: None) -> None:
    saturday = date(2025, 11, 8)
    make_account("new", bound_at=new_york(saturday, 10))
    make_account("unbound")
    assert request_close_runs(now=new_york(saturday, 11)) == 0
    assert request_close_runs(now=new_york(date(2025, 11, 10), 16)) == 2


def test_each_account_has_its_own_and_inactive_ones_none(calendar: None, account: Account) -> None:
    make_account("paper", bound_at=account.bound_at)
    make_account("old", bound_at=account.bound_at, is_active=False)
    assert request_close_runs(now=new_york(date(2025, 11, 7), 16)) == 2


def test_two_at_once_make_one(calendar: None, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked before either of them has written."""
    now = new_york(date(2025, 11, 7), 16)
    misses, made_by_the_other = at_close._misses, []

    def the_other_is_quicker(mine: Account, session: Session) -> bool:
        monkeypatch.setattr(at_close, "_misses", misses)
        made_by_the_other.append(request_close_runs(now=now))
        return misses(mine, session)

    monkeypatch.setattr(at_close, "_misses", the_other_is_quicker)
    assert request_close_runs(now=now) == 0
    assert made_by_the_other == [1]
    assert Run.objects.count() == 1


# --- Without a calendar ---------------------------------------------------------------------------------------


def test_an_unknown_calendar_means_weekdays_at_four_and_says_so(account: Account) -> None:
    assert request_close_runs(now=new_york(date(2025, 11, 7), 15, 59)) == 1  # Thursday's, made up
    assert request_close_runs(now=new_york(date(2025, 11, 7), 16)) == 1
    assert request_close_runs(now=new_york(date(2025, 11, 8), 16)) == 0
    assert Run.objects.latest("pk").requested_by == "system:close of 2025-11-07, calendar not known: the usual hours"


def test_the_task_reads_the_calendar_first_and_then_asks_no_more(sim_account: Account, sim: SimAccount) -> None:
    Account.objects.filter(pk=sim_account.pk).update(bound_at=datetime(2025, 1, 1, tzinfo=UTC))
    assert tasks.reconcile_at_close() == "1 runs requested."
    assert TradingDay.objects.count() == 75
    assert tasks.reconcile_at_close() == "0 runs requested."
    assert len(sim.requests("GET", "/v2/calendar")) == 1


def test_the_task_works_without_an_answer_and_says_so(sim_account: Account, settings: LazySettings) -> None:
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    Account.objects.filter(pk=sim_account.pk).update(bound_at=datetime(2025, 1, 1, tzinfo=UTC))
    outcome = tasks.reconcile_at_close()
    assert outcome.startswith("1 runs requested. The trading calendar is not known, so weekdays count")
    assert "calendar not known" in Run.objects.get().requested_by


# --- When is the next one? ------------------------------------------------------------------------------------


def test_the_pages_are_told_the_next_close(calendar: None, account: Account) -> None:
    thanksgiving = date(2025, 11, 27)
    Account.objects.update(closed_through=date(2025, 11, 26))
    account.refresh_from_db()
    assert next_close_run(account, new_york(thanksgiving, 10)) is None, "nothing is arranged"
    Schedule.objects.create(func=at_close.FUNCTION)
    assert next_close_run(account, new_york(thanksgiving, 10)) == new_york(date(2025, 11, 28), 13)
    assert next_close_run(account, new_york(date(2025, 11, 28), 14)) == new_york(date(2025, 11, 28), 13), "missed"
