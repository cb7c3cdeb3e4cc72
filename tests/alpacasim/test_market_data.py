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


BARS = "/v2/stocks/bars"
DAYS = f"{BARS}?symbols=MSFT,AAPL&timeframe=1Day&start=2025-11-03&end=2025-11-06T12:00:00Z"


def test_bars_are_repeatable_numbers_within_low_and_high(sim: Sim) -> None:
    sim.act("clock", mode="nyse", pin="2025-11-06T18:00:00Z")
    answer = sim.api("GET", DAYS).json()
    assert answer == sim.api("GET", DAYS).json()
    assert list(answer["bars"]) == ["AAPL", "MSFT"]
    assert answer["next_page_token"] is None
    days = [bar["t"] for bar in answer["bars"]["AAPL"]]
    assert days == [f"2025-11-0{day}T05:00:00Z" for day in (3, 4, 5, 6)], "New York's midnights"
    for bar in answer["bars"]["AAPL"]:
        assert set(bar) == {"t", "o", "h", "l", "c", "v", "n", "vw"}
        assert bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"]


def test_hours_are_those_in_which_the_market_is_open(sim: Sim) -> None:
    sim.act("clock", mode="nyse", pin="2025-11-10T23:00:00Z")
    query = f"{BARS}?symbols=AAPL&timeframe=1Hour&start=2025-11-07&end=2025-11-10T23:00:00Z"
    hours = [bar["t"][5:13] for bar in sim.api("GET", query).json()["bars"]["AAPL"]]
    assert hours == [f"11-{day}T{hour}" for day in ("07", "10") for hour in range(14, 21)]


def test_the_last_bar_ends_at_the_price_of_now(sim: Sim) -> None:
    sim.act("clock", mode="open", pin="2025-11-06T18:00:00Z")
    sim.price("AAPL", "201.5")
    bars = sim.api("GET", f"{BARS}?symbols=AAPL&timeframe=1Day&start=2025-11-05").json()["bars"]["AAPL"]
    assert bars[-1]["c"] == 201.5
    assert bars[0]["c"] != 201.5


def test_bars_come_in_pages(sim: Sim) -> None:
    sim.act("clock", mode="nyse", pin="2025-11-06T18:00:00Z")
    whole = sim.api("GET", DAYS).json()["bars"]
    found: dict[str, list[object]] = {}
    token, pages = "", 0
    while True:
        page = sim.api("GET", f"{DAYS}&limit=3&page_token={token}").json()
        pages += 1
        for symbol, bars in page["bars"].items():
            found.setdefault(symbol, []).extend(bars)
        token = page["next_page_token"]
        if token is None:
            break
    assert found == whole
    assert pages == 3


@pytest.mark.parametrize(
    "query", ["symbols=AAPL", "symbols=AAPL&timeframe=7Day", "timeframe=1Day", "symbols=AAPL&timeframe=1Day&start=x"]
)
def test_bars_that_nobody_can_draw_are_refused(sim: Sim, query: str) -> None:
    assert sim.api("GET", f"{BARS}?{query}").status_code == 400
