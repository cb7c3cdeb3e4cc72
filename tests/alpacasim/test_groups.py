"""Bracket, OCO and OTO orders over their whole lives."""

from typing import Any

import pytest
from alpaca.trading.enums import OrderClass
from alpaca.trading.requests import StopLossRequest, TakeProfitRequest

from .conftest import Sim, wait_for

TAKE_PROFIT = TakeProfitRequest(limit_price=120)
STOP_LOSS = StopLossRequest(stop_price=90)


def bracket(sim: Sim, qty: int = 10) -> dict[str, Any]:
    sim.price("AAPL", "110")
    return sim.limit(
        100, qty=qty, order_class=OrderClass.BRACKET, take_profit=TAKE_PROFIT, stop_loss=STOP_LOSS,
        time_in_force="gtc",
    )  # fmt: skip


def legs_of(sim: Sim, order_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    profit, loss = sim.api("GET", f"/v2/orders/{order_id}?nested=true").json()["legs"]
    return profit, loss


def entered(sim: Sim) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    entry = bracket(sim)
    sim.wait_status(entry["id"], "new")
    sim.price("AAPL", "100")
    entry = sim.wait_status(entry["id"], "filled")
    profit, loss = legs_of(sim, entry["id"])
    return entry, sim.wait_status(profit["id"], "new"), loss


def test_a_bracket_is_answered_with_two_held_legs_of_the_same_moment(sim: Sim) -> None:
    order = bracket(sim)
    profit, loss = order["legs"]
    assert order["status"] == "pending_new"
    assert (order["group_role"], profit["group_role"], loss["group_role"]) == ("entry", "take_profit", "stop_loss")
    assert len({each["group_id"] for each in (order, profit, loss)}) == 1
    for leg in (profit, loss):
        assert leg["status"] == "held"
        assert leg["legs"] is None
        assert leg["side"] == "sell"
        assert leg["order_class"] == "bracket"
        assert (leg["created_at"], leg["submitted_at"]) == (order["created_at"], order["submitted_at"])
    assert (profit["type"], profit["limit_price"]) == ("limit", "120")
    assert (loss["type"], loss["stop_price"]) == ("stop", "90")


def test_simple_orders_have_no_group_fields(sim: Sim) -> None:
    assert not {"group_id", "group_role"} & set(sim.market())


def test_after_the_entry_the_profit_leg_works_under_a_new_submission_time_and_the_stop_stays_held(sim: Sim) -> None:
    entry, profit, loss = entered(sim)
    assert loss["status"] == "held"
    assert profit["submitted_at"] > entry["submitted_at"]
    assert profit["created_at"] == entry["created_at"]
    open_ids = {order["id"] for order in sim.client.get("/orders", {"status": "open"})}
    assert open_ids == {profit["id"]}, "a held leg is not among the open orders"
    assert sim.client.get_open_position("AAPL")["qty_available"] == "0"


def test_profit_taken_cancels_the_stop(sim: Sim) -> None:
    _, profit, loss = entered(sim)
    sim.price("AAPL", "121")
    assert sim.wait_status(profit["id"], "filled")["filled_avg_price"] == "121"
    sim.wait_status(loss["id"], "canceled")
    assert sim.qty_of("AAPL") is None


def test_a_triggered_stop_cancels_the_profit_leg_and_sells(sim: Sim) -> None:
    _, profit, loss = entered(sim)
    sim.price("AAPL", "89.5")
    assert sim.wait_status(loss["id"], "filled")["filled_avg_price"] == "89.5"
    sim.wait_status(profit["id"], "canceled")
    assert sim.qty_of("AAPL") is None


def test_a_partly_filled_profit_leg_shrinks_the_stop(sim: Sim) -> None:
    _, profit, loss = entered(sim)
    sim.act("fill", order_id=profit["id"], qty="4", price="120")
    assert sim.order(profit["id"])["status"] == "partially_filled"
    assert sim.order(loss["id"])["qty"] == "6"
    sim.price("AAPL", "89")
    assert sim.wait_status(loss["id"], "filled")["filled_qty"] == "6"
    assert sim.qty_of("AAPL") is None


def test_canceling_the_entry_cancels_its_legs(sim: Sim) -> None:
    order = bracket(sim)
    sim.wait_status(order["id"], "new")
    sim.client.cancel_order_by_id(order["id"])
    sim.wait_status(order["id"], "canceled")
    assert [leg["status"] for leg in legs_of(sim, order["id"])] == ["canceled", "canceled"]


def test_canceling_one_exit_cancels_the_other(sim: Sim) -> None:
    _, profit, loss = entered(sim)
    sim.client.cancel_order_by_id(profit["id"])
    sim.wait_status(loss["id"], "canceled")
    assert sim.qty_of("AAPL") == "10", "the position is left without protection"


def test_a_partly_filled_entry_that_is_canceled_leaves_a_position_without_legs(sim: Sim) -> None:
    order = bracket(sim)
    sim.wait_status(order["id"], "new")
    sim.act("fill", order_id=order["id"], qty="3", price="100")
    sim.client.cancel_order_by_id(order["id"])
    assert sim.wait_status(order["id"], "canceled")["filled_qty"] == "3"
    assert [leg["status"] for leg in legs_of(sim, order["id"])] == ["canceled", "canceled"]
    assert sim.qty_of("AAPL") == "3"


def test_an_oco_is_its_own_take_profit(sim: Sim) -> None:
    sim.price("AAPL", "100")
    sim.buy_filled()
    oco = sim.limit(120, side="sell", order_class=OrderClass.OCO, take_profit=TAKE_PROFIT, stop_loss=STOP_LOSS)
    [loss] = oco["legs"]
    assert (oco["group_role"], loss["group_role"], loss["status"]) == ("take_profit", "stop_loss", "held")
    sim.wait_status(oco["id"], "new")
    sim.price("AAPL", "90")
    sim.wait_status(loss["id"], "filled")
    sim.wait_status(oco["id"], "canceled")


def test_an_otos_only_leg_starts_working_after_the_entry(sim: Sim) -> None:
    sim.price("AAPL", "100")
    oto = sim.limit(100, order_class=OrderClass.OTO, stop_loss=STOP_LOSS)
    [loss] = oto["legs"]
    sim.wait_status(oto["id"], "filled")
    assert sim.wait_status(loss["id"], "new")["submitted_at"] > oto["submitted_at"]
    assert sim.api("PATCH", f"/v2/orders/{loss['id']}", json={"stop_price": "91"}).status_code == 422
    sim.price("AAPL", "90")
    sim.wait_status(loss["id"], "filled")


def test_legs_are_rows_of_their_own_unless_nested(sim: Sim) -> None:
    order = bracket(sim)
    flat = sim.client.get("/orders", {"status": "all", "nested": False})
    assert {row["id"] for row in flat} == {order["id"], *(leg["id"] for leg in order["legs"])}
    assert all(row["legs"] is None for row in flat)
    [nested] = sim.client.get("/orders", {"status": "all", "nested": True})
    assert [leg["id"] for leg in nested["legs"]] == [leg["id"] for leg in order["legs"]]


def test_a_held_leg_can_be_replaced_and_the_new_one_protects(sim: Sim) -> None:
    entry, _, loss = entered(sim)
    new = sim.api("PATCH", f"/v2/orders/{loss['id']}", json={"stop_price": "95"}).json()
    assert new["status"] == "held"
    assert new["group_id"] == loss["group_id"]
    assert [leg["id"] for leg in legs_of(sim, entry["id"])][1] == new["id"]
    sim.price("AAPL", "95")
    sim.wait_status(new["id"], "filled")
    wait_for(lambda: sim.qty_of("AAPL") is None, "the position to be closed")


@pytest.mark.parametrize("missing", ["take_profit", "stop_loss"])
def test_a_bracket_without_both_exits_is_refused(sim: Sim, missing: str) -> None:
    body: dict[str, Any] = {
        "symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day",
        "order_class": "bracket", "take_profit": {"limit_price": 900}, "stop_loss": {"stop_price": 1},
    }  # fmt: skip
    del body[missing]
    answer = sim.api("POST", "/v2/orders", json=body)
    field = {"take_profit": "take_profit.limit_price", "stop_loss": "stop_loss.stop_price"}[missing]
    assert answer.json() == {"code": 42210000, "message": f"bracket orders require {field}"}
