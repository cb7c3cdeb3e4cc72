"""Alpaca's calendar as rows: read whole or not at all, and changed when Alpaca changes it."""

from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace

import pytest

from broker.errors import BrokerUnavailable, UnreadableAnswer
from broker.models import Account, TradingDay
from broker.times import in_new_york
from broker.trading_days import newest_closed, next_to_close, read_calendar, refresh_trading_days
from broker.types import TradingDay as BrokerTradingDay
from tests.factories import make_account

pytestmark = pytest.mark.django_db
NOW = datetime(2025, 11, 20, 15, tzinfo=UTC)
HALF_DAY, THANKSGIVING = date(2025, 11, 28), date(2025, 11, 27)


def session(day: date, close: time = time(16)) -> BrokerTradingDay:
    return BrokerTradingDay(day=day, open_at=in_new_york(day, time(9, 30)), close_at=in_new_york(day, close))


def weekdays(first: date, last: date) -> list[BrokerTradingDay]:
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [session(day) for day in days if day.weekday() < 5 and day != THANKSGIVING]


def gateway(change=lambda sessions: sessions):
    return SimpleNamespace(get_calendar=lambda first, last: change(weekdays(first, last)))


def test_days_with_and_without_trading_become_rows() -> None:
    assert read_calendar(gateway=gateway(), now=NOW) == 75
    assert TradingDay.objects.get(day=THANKSGIVING).close_at is None
    assert TradingDay.objects.get(day=HALF_DAY).close_at == datetime(2025, 11, 28, 21, tzinfo=UTC)
    assert read_calendar(gateway=gateway(), now=NOW) == 0


def test_a_changed_close_is_taken_over() -> None:
    read_calendar(gateway=gateway(), now=NOW)
    early = gateway(lambda days: [session(day.day, time(13)) if day.day == HALF_DAY else day for day in days])
    assert read_calendar(gateway=early, now=NOW) == 1
    assert TradingDay.objects.get(day=HALF_DAY).close_at == datetime(2025, 11, 28, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [lambda days: [], lambda days: days[:30], lambda days: days[30:], lambda days: days[:10] + days[25:]],
    ids=["empty", "cut short", "begun late", "a hole"],
)
def test_an_answer_with_a_gap_is_no_holiday(change) -> None:
    read_calendar(gateway=gateway(), now=NOW)
    with pytest.raises(UnreadableAnswer, match="no session between"):
        read_calendar(gateway=gateway(change), now=NOW)
    assert TradingDay.objects.filter(close_at__isnull=False).count() > 45


def test_days_that_were_not_asked_for_are_left_out_and_old_ones_go() -> None:
    beyond = session(date(2026, 12, 1))
    read_calendar(gateway=gateway(lambda days: [*days, beyond]), now=NOW)
    assert not TradingDay.objects.filter(day=beyond.day).exists()
    read_calendar(gateway=gateway(), now=NOW + timedelta(days=500))
    assert TradingDay.objects.filter(day__lt=NOW.date() + timedelta(days=70)).count() == 0


def test_the_session_that_closed_and_the_one_that_will() -> None:
    read_calendar(gateway=gateway(), now=NOW)
    thanksgiving = datetime(2025, 11, 27, 18, tzinfo=UTC)
    closed, coming = newest_closed(thanksgiving), next_to_close(thanksgiving)
    assert closed is not None
    assert coming is not None
    assert (closed.day, coming.day, coming.is_assumed) == (date(2025, 11, 26), HALF_DAY, False)


def test_without_rows_weekdays_are_assumed() -> None:
    coming = next_to_close(datetime(2025, 11, 29, 18, tzinfo=UTC))
    assert coming is not None
    assert (coming.day, coming.is_assumed) == (date(2025, 12, 1), True)
    assert coming.close_at == datetime(2025, 12, 1, 21, tzinfo=UTC)


def test_it_is_read_from_the_simulator(sim_account: Account) -> None:
    assert refresh_trading_days(now=NOW) == 75
    assert TradingDay.objects.get(day=HALF_DAY).close_at == datetime(2025, 11, 28, 18, tzinfo=UTC)  # 13:00


def test_another_account_is_asked_when_the_first_has_no_answer(sim_account: Account, settings) -> None:
    make_account("aaa")  # without keys
    assert refresh_trading_days(now=NOW) == 75


def test_no_account_with_an_answer_is_a_failure(sim_account: Account, settings) -> None:
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    with pytest.raises(BrokerUnavailable):
        refresh_trading_days(now=NOW)
    assert not TradingDay.objects.exists()
