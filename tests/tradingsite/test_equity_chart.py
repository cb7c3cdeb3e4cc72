"""The curve of equity: which figures it is drawn from, and that it costs the same however many there are."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker.models import AccountSnapshot, EquityPoint
from tests.factories import make_account
from tests.tradingsite.test_pages import make_snapshot
from tradingsite import equity_chart
from tradingsite.equity_chart import MOST_POINTS, span_of
from tradingsite.standing import money_of
from ui.formatting import NEW_YORK

pytestmark = pytest.mark.django_db


def noon():
    return timezone.now().astimezone(NEW_YORK).replace(hour=12, minute=0, second=0, microsecond=0)


def drawn(monkeypatch, span, now):
    """What the chart is asked to draw: the series by name."""
    asked = {}
    monkeypatch.setattr(equity_chart, "line_chart", lambda **given: asked.update(given))
    account = make_account()
    equity_chart.equity_chart(account, money_of(account.snapshots.order_by("-read_at").first()), span, now)
    return {series.name: list(series.points) for series in asked["series"]}, asked["summary"]


def test_today_begins_at_midnight_in_new_york_and_ends_with_the_last_figure(monkeypatch):
    now = noon()
    make_snapshot(make_account(), read_at=now - timedelta(hours=12, minutes=1), equity="1")
    make_snapshot(make_account(), read_at=now - timedelta(hours=12), equity="100")
    make_snapshot(make_account(), read_at=now - timedelta(hours=1), equity="103")
    make_snapshot(make_account(), read_at=now, equity="110", last_equity="100")
    make_snapshot(make_account("paper"), read_at=now, equity="999")
    series, summary = drawn(monkeypatch, "day", now)
    assert [point.value for point in series["Equity"]] == [100, 103, 110]
    assert [(point.at, point.value) for point in series["Last close"]] == [(now - timedelta(hours=12), 100), (now, 100)]
    assert summary == "$110.00, +10.00 (10.00 %) since the last close."


def test_nothing_read_is_said_and_drawn_empty(monkeypatch):
    series, summary = drawn(monkeypatch, "day", noon())
    assert series == {"Equity": []}
    assert summary == "Nothing was read yet."


def test_a_long_day_is_sampled_and_keeps_its_last_figure(monkeypatch):
    now = noon()
    zero = dict.fromkeys(("cash", "buying_power", "long_market_value", "short_market_value"), Decimal(0))
    AccountSnapshot.objects.bulk_create(
        AccountSnapshot(
            account=make_account(), read_at=now - timedelta(seconds=second), equity=second, last_equity=1, **zero
        )
        for second in range(2000)
    )
    series, _ = drawn(monkeypatch, "day", now)
    assert MOST_POINTS / 2 <= len(series["Equity"]) <= MOST_POINTS + 1
    assert (series["Equity"][-1].at, series["Equity"][-1].value) == (now, 0)


def test_the_year_takes_alpacas_days_and_goes_on_with_our_own_figures(monkeypatch):
    now = noon()
    for days in (400, 3, 2):
        EquityPoint.objects.create(account=make_account(), day=(now - timedelta(days=days)).date(), equity=days)
    make_snapshot(make_account(), read_at=now - timedelta(days=2), equity="777")  # of a day that Alpaca has told
    make_snapshot(make_account(), read_at=now - timedelta(hours=20), equity="50")
    make_snapshot(make_account(), read_at=now, equity="60")
    series, _ = drawn(monkeypatch, "year", now)
    assert [point.value for point in series["Equity"]] == [3, 2, 50, 60]
    assert "Last close" not in series


def test_without_alpacas_days_the_last_figure_of_each_day_is_enough(monkeypatch):
    now = noon()
    for days in (30, 20, 10):
        make_snapshot(make_account(), read_at=now - timedelta(days=days), equity=f"{days}")
    make_snapshot(make_account(), read_at=now, equity="1")
    series, _ = drawn(monkeypatch, "year", now)
    assert [point.value for point in series["Equity"]] == [30, 20, 10, 1]


@pytest.mark.parametrize(("text", "span"), [("year", "year"), ("day", "day"), ("", "day"), ("<b>", "day")])
def test_an_unknown_span_is_today(text, span):
    assert span_of(text) == span


@pytest.mark.parametrize("query", ["", "?span=year"])
def test_the_overview_draws_it_and_keeps_the_span_when_it_refreshes(client, people, query):
    client.force_login(people.trader)
    make_snapshot(make_account())
    text = client.get(f"/{query}").content.decode()
    assert f'hx-get="/{query}"' in text
    assert '<figure class="chart' in text
    assert 'aria-current="true">' + ("1 year" if query else "Today") in text


@pytest.mark.parametrize("query", ["", "?span=year"])
def test_it_asks_the_same_number_of_queries_for_2_and_600_figures(client, people, query):
    client.force_login(people.trader)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"/{query}").status_code == 200
        return len(captured)

    for number in range(2):
        make_snapshot(make_account(), read_at=timezone.now() - timedelta(seconds=number))
    few = queries()
    last: Any = AccountSnapshot.objects.values().last()
    del last["id"]
    AccountSnapshot.objects.bulk_create(
        AccountSnapshot(**{**last, "read_at": timezone.now() - timedelta(minutes=number)}) for number in range(600)
    )
    assert queries() == few
