"""Scenario documents, written by hand or dumped."""

from pathlib import Path
from typing import Any

import pytest

import alpacasim
from alpacasim.server import run_in_thread

from .conftest import Sim

MORNING: dict[str, Any] = {
    "prices": {"QCOM": "172.30", "FTNT": "85.50"},
    "assets": [{"symbol": "ZZZZ", "name": "Zed", "exchange": "NYSE", "level": "12.5", "fractionable": False}],
    "accounts": {
        "sim": {
            "cash": "50000",
            "created_at": "2025-01-02T15:00:00Z",
            "account_number": "PA0000SIM",
            "positions": [
                {"symbol": "FTNT", "qty": "58", "avg_entry_price": "86.00", "current_price": "85.50"},
                {"symbol": "APH", "qty": "58", "avg_entry_price": "135.00"},
            ],
            "orders": [
                {
                    "client_order_id": "batch-1-qcom", "symbol": "QCOM", "side": "buy", "qty": "74", "type": "market",
                    "status": "filled", "filled_avg_price": "172.30", "subtag": "desk-a",
                    "submitted_at": "2025-11-06T13:00:01.25Z", "filled_at": "2025-11-06T13:00:01.253Z",
                },
                {
                    "client_order_id": "batch-1-ftnt", "symbol": "FTNT", "side": "sell", "qty": "58",
                    "status": "filled", "filled_avg_price": "85.50", "submitted_at": "2025-11-06T13:00:02Z",
                    "fills": [
                        {"qty": "20", "price": "85.40", "transaction_time": "2025-11-06T13:00:02.1Z"},
                        {"qty": "38", "price": "85.55", "transaction_time": "2025-11-06T13:00:02.2Z"},
                    ],
                },
                {
                    "symbol": "APH", "side": "sell", "qty": "58", "type": "limit", "limit_price": "156.60",
                    "order_class": "oco", "time_in_force": "gtc", "status": "new",
                    "submitted_at": "2025-11-05T15:00:00Z", "expires_at": "2099-01-01T00:00:00Z",
                    "legs": [{"type": "stop", "stop_price": "124.20", "status": "held", "side": "sell",
                              "expires_at": "2099-01-01T00:00:00Z"}],
                },
            ],
            "activities": [
                {"activity_type": "DIV", "symbol": "APH", "net_amount": "4.79", "created_at": "2025-11-05T12:00:00Z"}
            ],
        }
    },
}  # fmt: skip


@pytest.fixture
def loaded(sim: Sim) -> Sim:
    sim.control("POST", "state", **MORNING)
    return sim


def test_the_positions_after_are_those_before_and_the_fills(loaded: Sim) -> None:
    rows = {row["symbol"]: (row["qty"], row["avg_entry_price"]) for row in loaded.client.get_all_positions()}
    assert rows == {"APH": ("58", "135"), "QCOM": ("74", "172.3")}


def test_the_cash_after_follows_too(loaded: Sim) -> None:
    spent, received, dividend = 74 * 172.30, 20 * 85.40 + 38 * 85.55, 4.79
    assert float(loaded.client.get_account()["cash"]) == pytest.approx(50000 - spent + received + dividend)


def test_past_orders_have_their_figures_and_their_executions(loaded: Sim) -> None:
    order = loaded.client.get_order_by_client_id("batch-1-qcom")
    assert (order["status"], order["filled_qty"], order["filled_avg_price"]) == ("filled", "74", "172.3")
    assert order["subtag"] == "desk-a"
    assert order["filled_at"] == "2025-11-06T13:00:01.253Z"
    [fill] = loaded.fills(order_id=order["id"])
    assert fill["id"].startswith("20251106080001253::")
    two = loaded.fills(order_id=loaded.client.get_order_by_client_id("batch-1-ftnt")["id"], direction="asc")
    assert [(f["type"], f["qty"], f["cum_qty"]) for f in two] == [("partial_fill", "20", "20"), ("fill", "38", "58")]


def test_declared_open_orders_live_on(loaded: Sim) -> None:
    [oco] = loaded.client.get("/orders", {"status": "open", "nested": True})
    [stop] = oco["legs"]
    assert (oco["group_role"], stop["group_role"], stop["status"]) == ("take_profit", "stop_loss", "held")
    loaded.price("APH", "124")
    loaded.wait_status(stop["id"], "filled")
    loaded.wait_status(oco["id"], "canceled")


def test_assets_prices_and_identity(loaded: Sim) -> None:
    assert loaded.client.get_asset("ZZZZ")["fractionable"] is False
    assert loaded.client.get_open_position("QCOM")["current_price"] == "172.3"
    account = loaded.client.get_account()
    assert (account["account_number"], account["created_at"]) == ("PA0000SIM", "2025-01-02T15:00:00Z")


def test_a_dump_loads_into_the_same_state(loaded: Sim) -> None:
    dump = loaded.http.get(f"{loaded.url}/_sim/state", timeout=10).json()
    with run_in_thread(rate_limit=0, scenario_document=dump) as running:
        copy = Sim(running)
        for path in ("/v2/account/activities", "/v2/orders?status=all&nested=true", "/v2/positions"):
            assert copy.api("GET", path).json() == loaded.api("GET", path).json()
        assert copy.http.get(f"{copy.url}/_sim/state", timeout=10).json() == dump


@pytest.mark.parametrize(
    "accounts",
    [
        {"sim": {"positions": [{"symbol": "KO"}]}},
        {"sim": {"cash": "plenty"}},
        {"sim": {"orders": [{"symbol": "KO", "submitted_at": "this morning"}]}},
        {"sim": {"created_at": "2025-01-02T15:00:00"}},
    ],
)
def test_a_scenario_that_makes_no_sense_names_the_account_and_changes_nothing(
    sim: Sim, accounts: dict[str, Any]
) -> None:
    before = sim.client.get_account()["id"]
    answer = sim.http.post(f"{sim.url}/_sim/state", json={"accounts": accounts}, timeout=10)
    assert answer.status_code == 400
    assert "accounts.sim" in answer.json()["error"]
    assert sim.client.get_account()["id"] == before


def test_the_empty_scenario_that_comes_along_can_be_loaded(sim: Sim) -> None:
    path = Path(alpacasim.__file__).parent / "scenarios" / "empty.json"
    answer = sim.http.post(f"{sim.url}/_sim/state", data=path.read_bytes(), timeout=10)
    assert answer.json() == {"accounts": []}


def test_prices_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    def quote(seed: int) -> str:
        with run_in_thread(seed=seed) as running:
            sim = Sim(running)
            sim.act("clock", pin="2025-11-06T15:00:00Z")
            sim.buy_filled("KO", 1)
            return sim.client.get_open_position("KO")["avg_entry_price"]

    assert quote(1) == quote(1)
    assert quote(1) != quote(2)
