"""Submitting and looking up orders with the real client."""

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.requests import MarketOrderRequest

from .conftest import Sim, connect


def test_a_market_order_is_pending_first_and_filled_a_moment_later(sim: Sim) -> None:
    sim.price("QCOM", "172.30")
    answer = sim.market("QCOM", 74, client_order_id="qcom-1")
    assert answer["status"] == "pending_new"
    assert answer["filled_qty"] == "0"
    order = sim.wait_status(answer["id"], "filled")
    assert order["filled_qty"] == "74"
    assert order["filled_avg_price"] == "172.3"
    assert order["client_order_id"] == "qcom-1"
    position = sim.client.get_open_position("QCOM")
    assert position["qty"] == "74"
    assert position["avg_entry_price"] == "172.3"
    [fill] = sim.fills()
    assert (fill["order_id"], fill["qty"], fill["price"]) == (order["id"], "74", "172.3")


def test_the_order_has_exactly_alpacas_fields_in_alphabetical_order(sim: Sim) -> None:
    order = sim.market()
    assert list(order) == [
        "asset_class", "asset_id", "canceled_at", "client_order_id", "created_at", "expired_at", "expires_at",
        "extended_hours", "failed_at", "filled_at", "filled_avg_price", "filled_qty", "hwm", "id", "legs",
        "limit_price", "notional", "order_class", "order_type", "position_intent", "qty", "replaced_at",
        "replaced_by", "replaces", "side", "source", "status", "stop_price", "submitted_at", "subtag", "symbol",
        "time_in_force", "trail_percent", "trail_price", "type", "updated_at",
    ]  # fmt: skip


def test_buying_reduces_cash_by_the_cost(sim: Sim) -> None:
    sim.price("AAPL", "100")
    sim.buy_filled("AAPL", 10)
    assert sim.client.get_account()["cash"] == "99000"
    assert sim.client.get_account()["equity"] == "100000"


def test_a_client_order_id_is_taken_for_ever(sim: Sim) -> None:
    sim.wait_status(sim.market(client_order_id="once")["id"], "filled")
    with pytest.raises(APIError) as refused:
        sim.market(client_order_id="once")
    assert refused.value.status_code == 422
    assert str(refused.value) == '{"code":40010001,"message":"client_order_id must be unique"}'
    assert len(sim.client.get("/orders", {"status": "all"})) == 1


def test_a_limit_order_rests_until_the_price_comes(sim: Sim) -> None:
    sim.price("AAPL", "100")
    order = sim.limit(95)
    sim.wait_status(order["id"], "new")
    sim.price("AAPL", "94.50")
    filled = sim.wait_status(order["id"], "filled")
    assert filled["filled_avg_price"] == "94.5"


def test_an_order_is_found_by_its_client_order_id(sim: Sim) -> None:
    order = sim.market(client_order_id="mine / ü")
    assert sim.client.get_order_by_client_id("mine / ü")["id"] == order["id"]
    with pytest.raises(APIError) as missing:
        sim.client.get_order_by_client_id("nobody's")
    assert missing.value.status_code == 404


def test_cancel_is_a_request_that_ends_the_order_later(sim: Sim) -> None:
    sim.price("AAPL", "100")
    order = sim.limit(50)
    sim.wait_status(order["id"], "new")
    sim.act("config", fill_delay_ms=200)
    sim.client.cancel_order_by_id(order["id"])
    assert sim.order(order["id"])["status"] == "pending_cancel"
    assert sim.wait_status(order["id"], "canceled")["canceled_at"]
    with pytest.raises(APIError, match=r'order is already in \\"canceled\\" state'):
        sim.client.cancel_order_by_id(order["id"])


def test_a_notional_order_keeps_qty_null_and_buys_fractions(sim: Sim) -> None:
    sim.price("AAPL", "300")
    request = MarketOrderRequest(symbol="AAPL", notional=100, side="buy", time_in_force="day")
    order = sim.wait_status(sim.client.submit_order(request)["id"], "filled")
    assert order["qty"] is None
    assert order["notional"] == "100"
    assert order["filled_qty"] == "0.333333333"
    assert sim.client.get_account()["cash"] == "99900"


def test_each_key_is_an_account_of_its_own(sim: Sim) -> None:
    other = connect(sim.url, "other")
    sim.buy_filled()
    assert other.get_all_positions() == []
    assert other.get_account()["id"] != sim.client.get_account()["id"]
    assert other.get_account()["id"] == connect(sim.url, "other").get_account()["id"]
    other._session.close()


def test_partial_fills_come_as_two_executions(sim: Sim) -> None:
    sim.act("config", partial_fills=True)
    order = sim.wait_status(sim.market(qty=10)["id"], "filled")
    fills = sim.fills(order_id=order["id"], direction="asc")
    assert [(f["type"], f["qty"], f["cum_qty"], f["leaves_qty"]) for f in fills] == [
        ("partial_fill", "5", "5", "5"),
        ("fill", "5", "10", "0"),
    ]


def test_a_fill_can_overtake_a_cancel(sim: Sim) -> None:
    sim.price("AAPL", "100")
    order = sim.limit(50)
    sim.wait_status(order["id"], "new")
    sim.act("config", fill_delay_ms=300)
    sim.client.cancel_order_by_id(order["id"])
    sim.act("fill", order_id=order["id"], price="50")
    assert sim.order(order["id"])["status"] == "filled"
    sim.act("config", fill_delay_ms=2)
    later = sim.limit(50)
    sim.wait_status(later["id"], "new")
    assert sim.order(order["id"])["canceled_at"] is None


def test_two_orders_without_a_client_order_id_are_two_orders(sim: Sim) -> None:
    first, second = sim.market(), sim.market()
    assert first["id"] != second["id"]
    assert first["client_order_id"] != second["client_order_id"]
    sim.wait_status(second["id"], "filled")
    sim.wait_status(first["id"], "filled")
    assert sim.qty_of("AAPL") == "20"


def test_average_price_over_several_buys_and_unchanged_by_a_sale(sim: Sim) -> None:
    for price, qty in (("10", 100), ("12", 50)):
        sim.price("F", price)
        sim.buy_filled("F", qty)
    average = "10.6666666666666667"
    assert sim.client.get_open_position("F")["avg_entry_price"] == average
    sim.wait_status(sim.market("F", 30, "sell")["id"], "filled")
    assert sim.client.get_open_position("F")["avg_entry_price"] == average
    sim.wait_status(sim.market("F", 120, "sell")["id"], "filled")
    sim.wait_status(sim.market("F", 5, "sell")["id"], "filled")
    assert sim.client.get_open_position("F")["avg_entry_price"] == "12"
