"""The latest trades, as Alpaca's market-data API gives them: no part of its trading specification."""

import json

import pytest
import requests

from .conftest import Sim

PATH = "/v2/stocks/trades/latest"


def test_latest_trades_hold_numbers_and_leave_out_what_is_not_listed(sim: Sim) -> None:
    sim.act("clock", mode="open", pin="2025-11-06T13:00:00Z")
    sim.price("AAPL", "190.75")
    sim.price("SPY", "190")
    answer = sim.api("GET", f"{PATH}?symbols=AAPL,NOSUCH,SPY,BTC/USD")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    trade = {"t": "2025-11-06T13:00:00Z", "x": "V", "s": 100, "c": ["@"], "i": 1}
    assert answer.json() == {"trades": {"AAPL": trade | {"p": 190.75, "z": "C"}, "SPY": trade | {"p": 190, "z": "B"}}}
    assert '"p":190.75,' in answer.text, "a number, not a string"
    assert '"p":190,' in answer.text


def test_the_price_is_the_one_at_which_orders_fill(sim: Sim) -> None:
    sim.price("MSFT", "412.34")
    order = sim.buy_filled("MSFT", 1)
    trade = sim.api("GET", f"{PATH}?symbols=MSFT").json()["trades"]["MSFT"]
    assert json.dumps(trade["p"]) == order["filled_avg_price"] == "412.34"


def test_all_unknown_is_an_empty_object_and_none_asked_is_refused(sim: Sim) -> None:
    assert sim.api("GET", f"{PATH}?symbols=NOSUCH").json() == {"trades": {}}
    assert sim.api("GET", PATH).status_code == 400


def test_the_same_keys_are_wanted(sim: Sim) -> None:
    address = f"{sim.url}{PATH}?symbols=AAPL"
    assert requests.get(address, timeout=10).status_code == 401
    refused = sim.api("GET", f"{PATH}?symbols=AAPL", headers={"APCA-API-KEY-ID": "unauthorized"})
    assert refused.status_code == 401


@pytest.mark.parametrize("match", [{"path": PATH}, {"symbol": "KO"}])
def test_it_is_logged_and_struck_by_faults(sim: Sim, match: dict[str, str]) -> None:
    sim.fault("status", status=503, times=1, match=match)
    statuses = [sim.api("GET", f"{PATH}?symbols=AAPL,KO").status_code for _ in range(2)]
    assert statuses == [503, 200]
    logged = sim.http.get(f"{sim.url}/_sim/requests", timeout=10).json()
    assert [(entry["path"], entry["status"]) for entry in logged] == [(PATH, 503), (PATH, 200)]
