"""Candles and the history of equity are copied once, go on from what is there, and never hurt anything else."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from broker.gateway import open_gateway
from broker.models import Account, EquityPoint
from broker.times import NEW_YORK
from positions.models import PriceBar
from positions.price_bars import KEPT, drop_old_bars, refresh_bars
from positions.rebuilding import rebuild_positions
from reconciliation.refreshing_charts import ask_for_charts, charts_are_due, refresh_charts, refresh_equity
from tests.factories import make_adjustment
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db
BARS = "/v2/stocks/bars"


@pytest.fixture
def account(sim_account: Account) -> Account:
    return sim_account


def hold(account: Account, symbol: str, *, days: int = 3) -> None:
    now = timezone.now()
    make_adjustment(account, symbol=symbol, qty="10", price="100", effective_at=now - timedelta(days=days))
    rebuild_positions(account=account, symbols={symbol}, now=now)


def asked(sim: SimAccount) -> list[dict[str, Any]]:
    return sim.requests("GET", BARS)


def test_nothing_held_asks_nobody(account: Account, sim: SimAccount) -> None:
    assert refresh_bars(account=account, gateway=open_gateway(account), now=timezone.now()) == 0
    assert asked(sim) == []


def test_bars_of_what_is_held_are_stored_and_go_on_from_there(account: Account, sim: SimAccount) -> None:
    hold(account, "QCOM")
    hold(account, "NVDA")
    now = timezone.now()
    gateway = open_gateway(account)
    first = refresh_bars(account=account, gateway=gateway, now=now)
    assert first == PriceBar.objects.count() > 200
    assert len(asked(sim)) == 2, "one request for each timeframe, whatever the number of symbols"
    for timeframe in PriceBar.Timeframe:
        mine = PriceBar.objects.filter(symbol="QCOM", timeframe=timeframe)
        assert mine.latest("starts_at").starts_at <= now
        assert all(bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high for bar in mine)
    assert set(PriceBar.objects.values_list("symbol", flat=True).distinct()) == {"QCOM", "NVDA"}
    again = refresh_bars(account=account, gateway=gateway, now=timezone.now())
    assert 0 < again < first / 4
    assert PriceBar.objects.count() <= first + 4, "what was read twice is one row"


def test_the_bar_that_was_open_is_read_again(account: Account, sim: SimAccount) -> None:
    hold(account, "QCOM")
    sim.price("QCOM", "150.00")
    gateway = open_gateway(account)
    refresh_bars(account=account, gateway=gateway, now=timezone.now())
    assert PriceBar.objects.filter(timeframe="1Day").latest("starts_at").close == Decimal("150")
    sim.price("QCOM", "151.25")
    refresh_bars(account=account, gateway=gateway, now=timezone.now())
    assert PriceBar.objects.filter(timeframe="1Day").latest("starts_at").close == Decimal("151.25")


def test_pages_are_walked_to_their_end(account: Account, sim: SimAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(account, "QCOM")
    whole = refresh_bars(account=account, gateway=open_gateway(account), now=timezone.now())
    PriceBar.objects.all().delete()
    monkeypatch.setattr("broker.market_data.BARS_A_PAGE", 50)
    assert refresh_bars(account=account, gateway=open_gateway(account), now=timezone.now()) >= whole


def test_equity_of_days_that_are_over_is_stored_once(account: Account, sim: SimAccount) -> None:
    sim.api("GET", "/v2/account")  # the simulator makes an account when it is first asked for it
    now = timezone.now() + timedelta(days=4)
    sim.act("clock", mode="open", at=now.isoformat())
    gateway = open_gateway(account)
    came = refresh_equity(account=account, gateway=gateway, now=now)
    assert came == EquityPoint.objects.count() > 0
    today = now.astimezone(NEW_YORK).date()
    assert all(point.day < today and point.equity > 0 for point in EquityPoint.objects.all())
    refresh_equity(account=account, gateway=gateway, now=now)
    assert EquityPoint.objects.count() == came


def test_a_market_data_host_that_is_down_hurts_nothing(account: Account, settings: LazySettings) -> None:
    hold(account, "QCOM")
    settings.ALPACA_DATA_URL = "http://127.0.0.1:9"
    assert refresh_charts(account=account, now=timezone.now()).startswith("not refreshed")
    assert not PriceBar.objects.exists()


def test_they_are_due_once_in_a_while(account: Account) -> None:
    now = timezone.now()
    assert [charts_are_due(account, now + timedelta(seconds=s)) for s in (0, 1, 59, 61)] == [True, False, False, True]


def test_what_is_newly_held_is_asked_for_at_once(account: Account) -> None:
    now = timezone.now()
    assert charts_are_due(account, now)
    ask_for_charts(account)
    assert charts_are_due(account, now + timedelta(seconds=1))


def test_old_bars_go(account: Account) -> None:
    now = timezone.now()
    for timeframe, kept in KEPT.items():
        for age in (kept, kept + timedelta(days=2)):
            PriceBar.objects.create(
                account=account, symbol="QCOM", timeframe=timeframe, starts_at=now - age,
                open=1, high=1, low=1, close=1, volume=1,
            )  # fmt: skip
    assert drop_old_bars(now=now) == 2
    assert PriceBar.objects.count() == 2
