"""The market's hours, and orders that wait for them."""

from datetime import date

import pytest

from alpacasim import sessions
from alpacasim.clock import MODES
from alpacasim.times import format_instant, new_york_stamp, parse_instant
from tradingsite.management.commands.alpacasim import CLOCKS

from .conftest import Sim

SATURDAY = "2025-11-08T15:00:00Z"
THURSDAY_BEFORE_OPEN = "2025-11-06T13:00:00Z"
THURSDAY_OPEN = "2025-11-06T14:30:00Z"
THURSDAY_CLOSE = "2025-11-06T21:00:00Z"


def test_the_market_is_always_open_by_default(sim: Sim) -> None:
    sim.act("clock", pin=SATURDAY)
    assert sim.client.get_clock()["is_open"] is True


def test_new_york_hours(sim: Sim) -> None:
    sim.act("clock", mode="nyse", pin=THURSDAY_BEFORE_OPEN)
    assert sim.client.get_clock() == {
        "is_open": False,
        "next_close": "2025-11-06T16:00:00-05:00",
        "next_open": "2025-11-06T09:30:00-05:00",
        "timestamp": "2025-11-06T08:00:00-05:00",
    }
    sim.act("clock", pin=THURSDAY_OPEN)
    assert sim.client.get_clock()["is_open"] is True
    sim.act("clock", pin=THURSDAY_CLOSE)
    assert sim.client.get_clock()["is_open"] is False
    assert sim.client.get_clock()["next_open"] == "2025-11-07T09:30:00-05:00"


def test_a_market_that_never_opens(sim: Sim) -> None:
    sim.act("clock", mode="closed", pin=THURSDAY_OPEN)
    assert sim.client.get_clock()["is_open"] is False
    assert sim.market()["status"] == "accepted"


def test_manage_py_offers_the_clocks_that_there_are() -> None:
    assert CLOCKS == MODES


def test_the_clock_refuses_what_it_does_not_know(sim: Sim) -> None:
    with pytest.raises(Exception, match="the clock knows no now"):
        sim.act("clock", mode="nyse", now=SATURDAY)
    assert sim.client.get_clock()["is_open"] is True


def test_a_day_order_waits_for_the_open_and_gets_a_new_submission_time(sim: Sim) -> None:
    sim.act("clock", mode="nyse", pin=THURSDAY_BEFORE_OPEN)
    order = sim.market()
    assert order["status"] == "accepted"
    assert order["submitted_at"] == THURSDAY_BEFORE_OPEN
    assert order["expires_at"] == THURSDAY_CLOSE
    sim.act("clock", pin=THURSDAY_OPEN)
    filled = sim.wait_status(order["id"], "filled")
    assert filled["submitted_at"] == THURSDAY_OPEN
    assert filled["created_at"] == THURSDAY_BEFORE_OPEN


def test_the_list_follows_a_rewritten_submission_time(sim: Sim) -> None:
    sim.act("clock", mode="nyse", pin=THURSDAY_BEFORE_OPEN)
    waiting = sim.market()
    sim.act("clock", pin="2025-11-06T13:00:01Z")
    submitted_later = sim.limit(1, "KO", extended_hours=True)
    sim.wait_status(submitted_later["id"], "new")
    sim.act("clock", pin=THURSDAY_OPEN)
    sim.wait_status(waiting["id"], "filled")
    rows = sim.api("GET", "/v2/orders?status=all&direction=asc").json()
    assert [row["id"] for row in rows] == [submitted_later["id"], waiting["id"]]
    query = f"/v2/orders?status=all&after={THURSDAY_BEFORE_OPEN}&until=2025-11-06T14:00:00Z"
    assert [row["id"] for row in sim.api("GET", query).json()] == [submitted_later["id"]]


def test_an_extended_hours_limit_order_trades_before_the_open(sim: Sim) -> None:
    sim.price("AAPL", "100")
    sim.act("clock", mode="nyse", pin=THURSDAY_BEFORE_OPEN)
    order = sim.limit(101, extended_hours=True)
    sim.wait_status(order["id"], "filled")


def test_a_day_order_expires_at_the_close_and_keeps_what_was_filled(sim: Sim) -> None:
    sim.price("AAPL", "100")
    sim.act("clock", mode="nyse", pin=THURSDAY_OPEN)
    order = sim.limit(50)
    sim.wait_status(order["id"], "new")
    sim.act("fill", order_id=order["id"], qty="4", price="50")
    sim.act("clock", pin=THURSDAY_CLOSE)
    expired = sim.order(order["id"])
    assert (expired["status"], expired["filled_qty"]) == ("expired", "4")
    assert expired["expired_at"] == THURSDAY_CLOSE


def test_a_gtc_order_outlives_the_day_by_ninety(sim: Sim) -> None:
    sim.price("AAPL", "100")
    sim.act("clock", mode="nyse", pin=THURSDAY_OPEN)
    order = sim.limit(50, time_in_force="gtc")
    assert order["expires_at"] == "2026-02-04T14:30:00Z"
    sim.wait_status(order["id"], "new")
    sim.act("clock", pin="2025-11-07T15:00:00Z")
    assert sim.order(order["id"])["status"] == "new"
    sim.act("clock", pin="2026-02-04T15:00:00Z")
    assert sim.order(order["id"])["status"] == "expired"


def test_last_equity_is_that_of_the_day_before(sim: Sim) -> None:
    sim.act("clock", pin="2025-11-06T15:00:00Z")
    sim.buy_filled("AAPL", 10)
    assert sim.client.get_account()["last_equity"] == "100000"
    sim.act("clock", pin="2025-11-07T15:00:00Z")
    account = sim.client.get_account()
    position = sim.client.get_open_position("AAPL")
    expected = float(account["cash"]) + 10 * float(position["lastday_price"])
    assert float(account["last_equity"]) == pytest.approx(expected)
    gain = 10 * (float(position["current_price"]) - float(position["lastday_price"]))
    assert float(position["unrealized_intraday_pl"]) == pytest.approx(gain)


def test_the_calendar(sim: Sim) -> None:
    days = {day["date"]: day for day in sim.api("GET", "/v2/calendar?start=2025-11-24&end=2025-11-30").json()}
    assert sorted(days) == ["2025-11-24", "2025-11-25", "2025-11-26", "2025-11-28"]
    assert days["2025-11-28"] == {
        "close": "13:00", "date": "2025-11-28", "open": "09:30", "session_close": "1700", "session_open": "0400",
        "settlement_date": "2025-12-01",
    }  # fmt: skip


def test_holidays() -> None:
    assert sorted(sessions.holidays(2025)) == [
        date(2025, 1, 1), date(2025, 1, 20), date(2025, 2, 17), date(2025, 4, 18), date(2025, 5, 26),
        date(2025, 6, 19), date(2025, 7, 4), date(2025, 9, 1), date(2025, 11, 27), date(2025, 12, 25),
    ]  # fmt: skip
    assert date(2022, 1, 1) not in sessions.holidays(2022), "a Saturday, not made up for"
    assert date(2026, 7, 3) in sessions.holidays(2026), "the Fourth is a Saturday"
    assert date(2026, 4, 3) in sessions.holidays(2026), "Good Friday"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2025-11-06T13:00:01.5Z", "2025-11-06T13:00:01.5Z"),
        ("2025-11-06T08:00:01.123456789-05:00", "2025-11-06T13:00:01.123456789Z"),
        ("2025-11-06T13:00:00.000+00:00", "2025-11-06T13:00:00Z"),
        ("2025-11-06", "2025-11-06T00:00:00Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
    ],
)
def test_instants_are_read_and_written_without_loss(text: str, written: str) -> None:
    assert format_instant(parse_instant(text)) == written


def test_activity_stamps_are_in_new_york_time_on_both_sides_of_the_clock_change() -> None:
    assert new_york_stamp(parse_instant("2026-10-08T15:10:18.097Z")) == "20261008111018097"
    assert new_york_stamp(parse_instant("2022-02-02T18:55:09.981482Z")) == "20220202135509981"
