"""The price chart of a position: its candles, levels and fills, from the rows on record."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from positions import price_chart
from positions.ledger_lines import ledger_lines
from positions.models import Position, PriceBar
from positions.price_chart import MOST_CANDLES, timeframe_of
from positions.rebuilding import rebuild_position
from tests.factories import NOW, make_account, make_adjustment, make_fill, minutes

pytestmark = pytest.mark.django_db


def make_bars(count=3, *, symbol="QCOM", timeframe="1Day", step=timedelta(days=1), account=None, start=NOW):
    PriceBar.objects.bulk_create(
        PriceBar(
            account=account or make_account(), symbol=symbol, timeframe=timeframe, starts_at=start + number * step,
            open=Decimal(100), high=Decimal(110), low=Decimal(90), close=Decimal(100 + number), volume=Decimal(5),
        )
        for number in range(count)
    )  # fmt: skip


def rebuilt(symbol="QCOM"):
    rebuild_position(account=make_account(), symbol=symbol, now=NOW)
    return Position.objects.filter(symbol=symbol).first()


def asked(monkeypatch, position, timeframe="1Day"):
    given = {}
    monkeypatch.setattr(price_chart, "candle_chart", lambda **values: given.update(values))
    price_chart.price_chart(position, ledger_lines(position), timeframe)
    return given


def test_candles_are_of_the_symbol_the_account_and_the_timeframe(monkeypatch):
    make_fill(at=NOW)
    make_bars(3)
    make_bars(1, symbol="GME")
    make_bars(1, account=make_account("paper"))
    make_bars(2, timeframe="1Hour", step=timedelta(hours=1))
    position = rebuilt()
    assert [candle.close for candle in asked(monkeypatch, position)["candles"]] == [100, 101, 102]
    assert len(asked(monkeypatch, position, "1Hour")["candles"]) == 2


def test_the_last_candles_are_shown_and_not_more_than_fit(monkeypatch):
    make_fill(at=NOW)
    make_bars(MOST_CANDLES + 30)
    candles = asked(monkeypatch, rebuilt())["candles"]
    assert len(candles) == MOST_CANDLES
    assert candles[-1].close == 100 + MOST_CANDLES + 29


def test_a_closed_round_trip_shows_its_own_time(monkeypatch):
    make_fill(side="buy", at=NOW)
    make_fill(side="sell", at=NOW + timedelta(days=5))
    make_bars(60)
    assert asked(monkeypatch, rebuilt())["candles"][-1].at == NOW + timedelta(days=19)


def test_entry_stop_and_target_are_levels_and_every_fill_is_marked(monkeypatch):
    make_bars()
    fill = make_fill(side="buy", qty="10", price="100", at=NOW)
    make_fill(side="sell", qty="4", price="105", at=minutes(1))
    make_adjustment(qty="0", kind="average", price="101", effective_at=minutes(2))
    given = asked(monkeypatch, rebuilt())
    assert [(level.label, level.value, level.tone) for level in given["levels"]] == [
        ("Entry", 101, "accent"),
        ("Stop", Decimal("92.92"), "bad"),
        ("Target", Decimal("117.16"), "ok"),
    ]
    assert [(marker.shape, marker.label) for marker in given["markers"]] == [
        ("up", "Bought 10 at 100.00"),
        ("down", "Sold 4 at 105.00"),
        ("diamond", "Average price at 101.00"),
    ]
    assert given["markers"][0].href == fill.order.get_absolute_url()


def test_without_bars_it_says_why_nothing_is_drawn(client, people):
    client.force_login(people.trader)
    make_fill(at=NOW)
    text = client.get(rebuilt().get_absolute_url()).content.decode()
    assert "No prices of QCOM were read from Alpaca yet." in text


@pytest.mark.parametrize(("text", "found"), [("1Hour", "1Hour"), ("1Day", "1Day"), ("", "1Day"), ("1Min", "1Day")])
def test_an_unknown_timeframe_is_a_day(text, found):
    assert timeframe_of(text) == found


def test_it_refreshes_by_itself_with_its_timeframe_and_is_no_page_of_its_own(client, people):
    client.force_login(people.trader)
    make_fill(at=NOW)
    make_bars()
    position = rebuilt()
    address = f"{position.get_absolute_url()}chart/?timeframe=1Hour"
    fragment = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert f'hx-get="{address}"' in fragment
    assert "<html" not in fragment
    assert client.get(address)["Location"] == position.get_absolute_url()
    assert f'hx-get="{address}"' in client.get(f"{position.get_absolute_url()}?timeframe=1Hour").content.decode()


def test_it_asks_the_same_number_of_queries_for_2_and_100_bars_and_fills(client, people):
    client.force_login(people.trader)

    def queries():
        address = f"{rebuilt().get_absolute_url()}chart/"
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address, headers={"HX-Request": "true"}).status_code == 200
        return len(captured)

    make_bars(2)
    for number in range(2):
        make_fill(qty="1", at=minutes(number))
    few = queries()
    make_bars(98, start=NOW + timedelta(days=2))
    for number in range(2, 40):
        make_fill(qty="1", at=minutes(number))
    assert queries() == few
