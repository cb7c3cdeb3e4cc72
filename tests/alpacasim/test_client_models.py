"""The real client's own models accept what the simulator says."""

from datetime import timedelta
from decimal import Decimal

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from .conftest import Sim


@pytest.fixture
def client(sim: Sim) -> TradingClient:
    client = TradingClient("sim", "sim", paper=True, url_override=sim.url)
    client._session = sim.client._session
    return client


def test_orders(sim: Sim, client: TradingClient) -> None:
    sim.price("AAPL", "100")
    order = client.submit_order(
        LimitOrderRequest(
            symbol="AAPL", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=90,
            order_class=OrderClass.BRACKET, take_profit=TakeProfitRequest(limit_price=110),
            stop_loss=StopLossRequest(stop_price=80),
        )
    )  # fmt: skip
    assert order.status is OrderStatus.PENDING_NEW
    assert [leg.status for leg in order.legs or []] == [OrderStatus.HELD, OrderStatus.HELD]
    sim.wait_status(str(order.id), "new")
    replaced = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=2, limit_price=91))
    assert (replaced.replaces, replaced.qty) == (order.id, "2")
    [row] = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, nested=True, symbols=["AAPL", "BTC/USD"]))
    assert row.id == replaced.id
    late = GetOrdersRequest(status=QueryOrderStatus.ALL, until=order.submitted_at, limit=500, direction="asc")
    assert client.get_orders(late) == [], "until is exclusive, and the client cut the nanoseconds"
    [canceled] = client.cancel_orders()
    assert (canceled.id, canceled.status) == (replaced.id, 200)


def test_fractions_go_through_the_clients_floats_unharmed(sim: Sim, client: TradingClient) -> None:
    order = client.submit_order(
        MarketOrderRequest(symbol="KO", qty=0.557436865, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    sim.wait_status(str(order.id), "filled")
    assert Decimal(str(client.get_open_position("KO").qty)) == Decimal("0.557436865")


def test_positions(sim: Sim, client: TradingClient) -> None:
    sim.buy_filled("AAPL", 10)
    sim.buy_filled("KO", 10)
    bitcoin = client.submit_order(
        MarketOrderRequest(symbol="BTC/USD", qty=0.1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC)
    )
    sim.wait_status(str(bitcoin.id), "filled")
    assert [position.symbol for position in client.get_all_positions()] == ["AAPL", "BTCUSD", "KO"]
    assert client.get_open_position("BTC/USD").asset_id == bitcoin.asset_id
    assert client.get_open_position("BTCUSD").asset_id == bitcoin.asset_id
    order = client.close_position("AAPL", ClosePositionRequest(qty="4"))
    assert order.qty == "4"
    sim.wait_status(str(order.id), "filled")
    rows = client.close_all_positions(cancel_orders=True)
    assert {(row.symbol, row.status) for row in rows} == {("AAPL", 200), ("KO", 200), ("BTCUSD", 200)}


def test_everything_else(sim: Sim, client: TradingClient) -> None:
    sim.buy_filled("T", 10)
    client.submit_order(
        TrailingStopOrderRequest(
            symbol="T", qty=10, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, trail_percent=5
        )
    )
    account = client.get_account()
    assert (account.currency, account.multiplier) == ("USD", "2")
    assert client.get_account_configurations().no_shorting is False
    assert client.get_clock().is_open is True
    assert client.get_calendar(GetCalendarRequest())[0].open.hour == 9
    assert {str(asset.asset_class.value) for asset in client.get_all_assets(GetAssetsRequest(status="active"))} == {
        "us_equity"
    }
    assert client.get_asset("OCGN").fractionable is False
    # Of a day that begins after the account was made: before it there is no equity, which the client's model refuses.
    sim.act("clock", at=(client.get_clock().next_open + timedelta(hours=2)).isoformat())
    history = client.get_portfolio_history(GetPortfolioHistoryRequest(period="1D", timeframe="1H"))
    assert len(history.timestamp) == len(history.equity)
