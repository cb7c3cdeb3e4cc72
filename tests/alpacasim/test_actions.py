"""What happens from outside of the API: other programs, busts, splits, resets."""

from typing import Any

import pytest

from .conftest import Sim, wait_for


def test_an_order_from_outside_has_an_id_that_nobody_here_chose(sim: Sim) -> None:
    order = sim.act("manual_order", key_id="sim", symbol="KO", qty="3", side="buy")
    assert len(order["client_order_id"]) == 36
    sim.wait_status(order["id"], "filled")
    assert sim.qty_of("KO") == "3"
    assert sim.http.get(f"{sim.url}/_sim/requests?method=POST", timeout=10).json() == []


def test_a_bust_leaves_a_filled_order_with_nothing_filled(sim: Sim) -> None:
    sim.price("KO", "70")
    order = sim.buy_filled("KO", 3)
    sim.act("bust", order_id=order["id"])
    busted = sim.order(order["id"])
    assert (busted["status"], busted["filled_qty"], busted["filled_avg_price"]) == ("filled", "0", None)
    assert busted["updated_at"] > order["updated_at"]
    assert sim.qty_of("KO") is None
    assert sim.client.get_account()["cash"] == "100000"
    assert sum(int(fill["qty"]) for fill in sim.fills(order_id=order["id"])) == 0


def test_a_bust_of_one_of_two_executions_without_a_trace(sim: Sim) -> None:
    sim.act("config", partial_fills=True)
    sim.price("KO", "70")
    order = sim.buy_filled("KO", 4)
    first, second = sim.fills(direction="asc")
    sim.act("bust", activity_id=first["id"], remove=True)
    assert [fill["id"] for fill in sim.fills()] == [second["id"]]
    assert sim.order(order["id"])["filled_qty"] == "2"
    assert sim.qty_of("KO") == "2"


def test_a_split_changes_quantity_price_and_working_orders_together(sim: Sim) -> None:
    sim.price("KO", "70")
    sim.buy_filled("KO", 10)
    stop = sim.limit(90, "KO", 10, "sell", time_in_force="gtc")
    sim.wait_status(stop["id"], "new")
    sim.act("split", symbol="KO", ratio="2")
    position = sim.client.get_open_position("KO")
    assert (position["qty"], position["avg_entry_price"], position["current_price"]) == ("20", "35", "35")
    assert position["cost_basis"] == "700"
    adjusted = sim.order(stop["id"])
    assert (adjusted["qty"], adjusted["limit_price"]) == ("20", "45")
    [entry] = sim.client.get("/account/activities/SPLIT", {})
    assert (entry["symbol"], entry["qty"]) == ("KO", "10")


def test_cash_in_lieu_leaves_whole_shares_and_says_what_was_paid(sim: Sim) -> None:
    sim.price("KO", "70")
    sim.buy_filled("KO", 15)
    before = float(sim.client.get_account()["cash"])
    sim.act("split", symbol="KO", ratio="0.1", cash_in_lieu=True)
    position = sim.client.get_open_position("KO")
    assert (position["qty"], position["avg_entry_price"]) == ("1", "700")
    shares, cash = sorted(sim.client.get("/account/activities/SPLIT", {}), key=lambda entry: entry["net_amount"])
    assert (shares["qty"], cash["qty"], cash["price"], cash["net_amount"]) == ("-13.5", "-0.5", "700", "350")
    assert shares["group_id"] == cash["group_id"]
    assert float(sim.client.get_account()["cash"]) == before + 350


def test_a_new_symbol_keeps_the_asset_and_ends_what_works(sim: Sim) -> None:
    sim.price("KO", "70")
    sim.buy_filled("KO", 10)
    stop = sim.limit(90, "KO", 10, "sell", time_in_force="gtc")
    asset_id = sim.client.get_open_position("KO")["asset_id"]
    sim.act("rename", symbol="KO", to="KOX")
    position = sim.client.get_open_position("KOX")
    assert (position["qty"], position["avg_entry_price"], position["asset_id"]) == ("10", "70", asset_id)
    assert sim.qty_of("KO") is None
    assert sim.order(stop["id"])["status"] == "canceled"
    entries = sim.client.get("/account/activities/NC", {})
    assert sorted((entry["symbol"], entry["qty"]) for entry in entries) == [("KO", "-10"), ("KOX", "10")]


def test_a_bust_after_the_new_symbol_takes_the_shares_where_they_are_now(sim: Sim) -> None:
    sim.price("KO", "70")
    first, second = sim.buy_filled("KO", 10), sim.buy_filled("KO", 5)
    sim.act("rename", symbol="KO", to="KOX")
    sim.act("bust", order_id=first["id"])
    assert [(row["symbol"], row["qty"]) for row in sim.client.get_all_positions()] == [("KOX", "5")]
    sim.act("correct", order_id=second["id"], price="71")
    assert [(row["symbol"], row["qty"]) for row in sim.client.get_all_positions()] == [("KOX", "5")]


def test_shares_come_and_go_without_cash(sim: Sim) -> None:
    sim.act("transfer", key_id="sim", symbol="KO", qty="10", price="50")
    sim.act("transfer", key_id="sim", symbol="KO", qty="-4", activity_type="JNLS")
    position = sim.client.get_open_position("KO")
    assert (position["qty"], position["avg_entry_price"]) == ("6", "50")
    assert sim.client.get_account()["cash"] == "100000"
    assert [entry["qty"] for entry in sim.client.get("/account/activities/ACATS", {})] == ["10"]


def test_money_moves_without_an_entry(sim: Sim) -> None:
    sim.act("money", key_id="sim", cash="-12.50", equity_off="3")
    account = sim.client.get_account()
    assert (account["cash"], account["equity"]) == ("99987.5", "99990.5")
    assert sim.client.get("/account/activities", {}) == []


def test_a_reset_account_is_another_account_with_no_history(sim: Sim) -> None:
    before = sim.client.get_account()
    sim.buy_filled()
    sim.act("reset_account", key_id="sim")
    after = sim.client.get_account()
    assert after["id"] != before["id"]
    assert after["account_number"] != before["account_number"]
    assert after["created_at"] > before["created_at"]
    assert after["cash"] == "100000"
    assert sim.client.get("/orders", {"status": "all"}) == []
    assert sim.client.get_all_positions() == []
    assert sim.client.get("/account/activities", {}) == []


def test_orders_of_a_reset_account_are_not_filled_in_the_new_one(sim: Sim) -> None:
    sim.act("config", fill_delay_ms=60)
    sim.market("KO")
    sim.act("reset_account", key_id="sim")
    later = sim.market("PEP")
    sim.wait_status(later["id"], "filled")
    assert [position["symbol"] for position in sim.client.get_all_positions()] == ["PEP"]


@pytest.mark.parametrize(("action", "status"), [("cancel", "canceled"), ("expire", "expired"), ("reject", "rejected")])
def test_an_order_is_ended_from_outside(sim: Sim, action: str, status: str) -> None:
    sim.price("AAPL", "100")
    order = sim.limit(50)
    assert sim.act(action, order_id=order["id"])["status"] == status
    assert sim.order(order["id"])["status"] == status


def test_an_entry_that_is_no_trade_moves_the_cash(sim: Sim) -> None:
    sim.act("activity", key_id="sim", activity_type="DIV", symbol="AAPL", net_amount="1.02", per_share_amount="0.51")
    [entry] = sim.client.get("/account/activities/DIV", {})
    assert entry["net_amount"] == "1.02"
    assert entry["id"][8:].startswith("000000000::")
    assert sim.client.get_account()["cash"] == "100001.02"
    assert sim.client.get("/account/activities", {"category": "trade_activity"}) == []
    assert len(sim.client.get("/account/activities", {"category": "non_trade_activity"})) == 1


@pytest.mark.parametrize(
    ("action", "document"),
    [
        ("fill", {"order_id": "nobody"}), ("bust", {"order_id": "nobody"}), ("bust", {"activity_id": "nobody"}),
        ("price", {}), ("price", {"symbol": "KO", "price": "much"}), ("clock", {"mode": "mars"}),
        ("clock", {"pin": "noon"}), ("split", {"symbol": "KO", "ratio": "0"}), ("manual_order", {"symbol": "KO"}),
    ],
)  # fmt: skip
def test_an_action_that_makes_no_sense_is_refused_with_the_reason(
    sim: Sim, action: str, document: dict[str, Any]
) -> None:
    answer = sim.http.post(f"{sim.url}/_sim/actions/{action}", json=document, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert sim.http.post(f"{sim.url}/_sim/actions/dance", json={}, timeout=10).status_code == 404


def test_more_than_is_left_cannot_be_filled_by_hand(sim: Sim) -> None:
    sim.act("config", hold_fills=True)
    order = sim.market(qty=5)
    for qty in ("6", "-1"):
        answer = sim.http.post(f"{sim.url}/_sim/actions/fill", json={"order_id": order["id"], "qty": qty}, timeout=10)
        assert answer.status_code == 400
    assert sim.act("fill", order_id=order["id"], price="12.34")["filled_avg_price"] == "12.34"


def test_closing_a_part_and_then_the_rest(sim: Sim) -> None:
    sim.buy_filled("AAPL", 10)
    half = sim.api("DELETE", "/v2/positions/AAPL?percentage=50").json()
    assert (half["qty"], half["side"], half["position_intent"]) == ("5", "sell", "sell_to_close")
    sim.wait_status(half["id"], "filled")
    rest = sim.client.close_position("AAPL")
    sim.wait_status(rest["id"], "filled")
    assert sim.qty_of("AAPL") is None


def test_close_all_liquidates_longs_and_shorts(sim: Sim) -> None:
    sim.buy_filled("AAPL", 10)
    sim.wait_status(sim.market("KO", 4, "sell")["id"], "filled")
    rows = sim.client.close_all_positions()
    assert [(row["symbol"], row["status"], row["body"]["side"]) for row in rows] == [
        ("AAPL", 200, "sell"),
        ("KO", 200, "buy"),
    ]
    wait_for(lambda: sim.client.get_all_positions() == [], "all positions to be closed")
