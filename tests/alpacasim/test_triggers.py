"""Stop, stop limit and trailing stop orders, and times in force."""

from typing import Any

import pytest

from .conftest import Sim


def submit(sim: Sim, **fields: Any) -> dict[str, Any]:
    body = {"symbol": "AAPL", "qty": "10", "side": "sell", "time_in_force": "gtc", **fields}
    answer = sim.api("POST", "/v2/orders", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def holding(sim: Sim) -> Sim:
    sim.price("AAPL", "100")
    sim.buy_filled()
    return sim


def test_a_stop_sells_at_the_market_when_it_is_reached(holding: Sim) -> None:
    stop = submit(holding, type="stop", stop_price="90")
    holding.wait_status(stop["id"], "new")
    holding.price("AAPL", "90.01")
    assert holding.order(stop["id"])["status"] == "new"
    holding.price("AAPL", "88")
    assert holding.wait_status(stop["id"], "filled")["filled_avg_price"] == "88"


def test_a_stop_limit_waits_for_its_limit_after_the_stop(holding: Sim) -> None:
    order = submit(holding, type="stop_limit", stop_price="90", limit_price="89")
    holding.wait_status(order["id"], "new")
    holding.price("AAPL", "80")
    assert holding.order(order["id"])["status"] == "new"
    holding.price("AAPL", "95")
    assert holding.wait_status(order["id"], "filled")["filled_avg_price"] == "95"


def test_a_trailing_stop_has_its_mark_and_stop_at_once_and_follows_the_price_up(holding: Sim) -> None:
    order = submit(holding, type="trailing_stop", trail_price="5")
    assert (order["hwm"], order["stop_price"]) == ("100", "95")
    holding.wait_status(order["id"], "new")
    holding.price("AAPL", "110")
    moved = holding.order(order["id"])
    assert (moved["hwm"], moved["stop_price"]) == ("110", "105")
    holding.price("AAPL", "106")
    assert holding.order(order["id"])["stop_price"] == "105"
    holding.price("AAPL", "105")
    holding.wait_status(order["id"], "filled")


def test_a_trail_in_percent(holding: Sim) -> None:
    order = submit(holding, type="trailing_stop", trail_percent="8")
    assert order["stop_price"] == "92"
    new = holding.wait_status(order["id"], "new")
    answer = holding.api("PATCH", f"/v2/orders/{new['id']}", json={"trail": "10"})
    assert answer.json()["trail_percent"] == "10"


@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
def test_immediate_orders_are_canceled_when_the_market_is_away(sim: Sim, time_in_force: str) -> None:
    sim.price("AAPL", "100")
    order = submit(sim, side="buy", type="limit", limit_price="90", time_in_force=time_in_force)
    sim.wait_status(order["id"], "canceled")


def test_held_fills_wait_until_they_are_let_go(sim: Sim) -> None:
    sim.act("config", hold_fills=True)
    order = sim.market()
    sim.wait_status(order["id"], "new")
    assert sim.qty_of("AAPL") is None
    sim.act("config", hold_fills=False)
    sim.wait_status(order["id"], "filled")
