"""The scripted faults, met by the real client."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError

from .conftest import Sim, wait_for

POST = {"method": "POST", "path": "/v2/orders"}


def posts(sim: Sim) -> list[dict[str, Any]]:
    return sim.http.get(f"{sim.url}/_sim/requests?method=POST", timeout=10).json()


def test_a_dropped_answer_leaves_the_order_at_the_venue(sim: Sim) -> None:
    sim.fault("drop_answer", match=POST, times=1)
    with pytest.raises(requests.ConnectionError):
        sim.market(client_order_id="unheard")
    assert sim.client.get_order_by_client_id("unheard")["symbol"] == "AAPL"
    [post] = posts(sim)
    assert (post["client_order_id"], post["status"]) == ("unheard", None)


def test_a_gateway_timeout_after_accepting_leaves_the_order_at_the_venue(sim: Sim) -> None:
    sim.fault("status_after_accept", match=POST, times=1)
    with pytest.raises(APIError) as failed:
        sim.market(client_order_id="unheard")
    assert failed.value.status_code == 504
    with pytest.raises(json.JSONDecodeError):
        _ = failed.value.code
    assert sim.client.get_order_by_client_id("unheard")


def test_the_clients_own_retry_after_a_504_meets_its_first_order(sim: Sim, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.fault("status_after_accept", match=POST, times=1)
    sim.client._retry, sim.client._retry_wait = 3, 0
    with pytest.raises(APIError, match="client_order_id must be unique"):
        sim.market(client_order_id="once")
    assert len(posts(sim)) == 2
    assert len(sim.client.get("/orders", {"status": "all"})) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_a_status_before_accepting_leaves_nothing(sim: Sim, status: int) -> None:
    sim.fault("status", match=POST, times=1, status=status)
    with pytest.raises(APIError) as failed:
        sim.market(client_order_id="never")
    assert failed.value.status_code == status
    assert sim.client.get("/orders", {"status": "all"}) == []


def test_a_429_carries_alpacas_body_and_headers(sim: Sim) -> None:
    sim.fault("status", status=429, headers={"Retry-After": 7})
    answer = sim.api("GET", "/v2/clock")
    assert answer.json() == {"code": 42910000, "message": "rate limit exceeded"}
    assert (answer.headers["X-RateLimit-Remaining"], answer.headers["Retry-After"]) == ("0", "7")


def test_an_html_page_can_stand_for_any_answer(sim: Sim) -> None:
    sim.fault("status", status=500, html=True)
    answer = sim.api("GET", "/v2/positions")
    assert answer.headers["Content-Type"] == "text/html"
    assert "500 Internal Server Error" in answer.text


def test_garbage_is_a_good_status_with_an_unreadable_body(sim: Sim) -> None:
    sim.fault("garbage", match=POST, times=1)
    with pytest.raises(requests.JSONDecodeError):
        sim.market(client_order_id="unread")
    assert sim.client.get_order_by_client_id("unread")


def test_a_hanging_server_never_answers_and_accepts_only_when_told_so(sim: Sim) -> None:
    sim.fault("hang", match=POST | {"client_order_id": "ignored"}, times=1)
    sim.fault("hang", match=POST | {"client_order_id": "taken"}, times=1, accept=True)
    body = {"symbol": "KO", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}
    for name in ("ignored", "taken"):
        with pytest.raises(requests.ReadTimeout):
            sim.http.post(f"{sim.url}/v2/orders", json=body | {"client_order_id": name}, timeout=0.4)
    rows = wait_for(lambda: sim.client.get("/orders", {"status": "all"}), "the order that was taken")
    assert [order["client_order_id"] for order in rows] == ["taken"]


def test_a_delayed_accept_commits_after_the_client_has_gone(sim: Sim) -> None:
    sim.fault("delay_accept", match=POST, times=1, seconds=1)
    body = {"symbol": "KO", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}
    with pytest.raises(requests.ReadTimeout):
        sim.http.post(f"{sim.url}/v2/orders", json=body | {"client_order_id": "late"}, timeout=0.3)
    query = {"client_order_id": "late"}
    assert sim.api("GET", "/v2/orders:by_client_order_id", params=query).status_code == 404, "a 404 is no proof"
    wait_for(lambda: sim.api("GET", "/v2/orders:by_client_order_id", params=query).status_code == 200, "the order")


def test_a_delayed_answer_comes_late_but_comes(sim: Sim) -> None:
    sim.fault("delay_answer", match=POST, times=1, seconds=0.2)
    begun = time.monotonic()
    order = sim.market()
    assert time.monotonic() - begun >= 0.2
    assert order["status"] == "pending_new"


@pytest.mark.parametrize(
    ("close", "error"), [(False, requests.JSONDecodeError), (True, requests.exceptions.ChunkedEncodingError)]
)
def test_a_body_is_cut_in_the_middle(sim: Sim, close: bool, error: type[Exception]) -> None:
    sim.buy_filled()
    sim.fault("truncated_body", match={"path": "/v2/positions"}, times=1, close=close)
    with pytest.raises(error):
        sim.client.get_all_positions()
    assert len(sim.client.get_all_positions()) == 1


def test_a_page_loses_its_last_rows(sim: Sim) -> None:
    for _ in range(5):
        sim.market(qty=1)
    sim.fault("truncated_page", match={"path": "/v2/orders"}, times=1, rows=2)
    assert len(sim.client.get("/orders", {"status": "all"})) == 3
    assert len(sim.client.get("/orders", {"status": "all"})) == 5


def test_positions_can_be_empty_though_they_are_not(sim: Sim) -> None:
    sim.buy_filled()
    sim.fault("empty_list", match={"path": "/v2/positions"}, times=1)
    assert sim.client.get_all_positions() == []
    assert len(sim.client.get_all_positions()) == 1


def test_an_unknown_status_is_shown(sim: Sim) -> None:
    order = sim.buy_filled()
    sim.fault("unknown_status", match={"path": "/v2/orders"}, times=2, status="frobbed")
    assert sim.order(order["id"])["status"] == "frobbed"
    assert sim.client.get("/orders", {"status": "all"})[0]["status"] == "frobbed"
    assert sim.order(order["id"])["status"] == "filled"


def test_positions_lag_behind_the_fills(sim: Sim) -> None:
    sim.price("AAPL", "100")
    sim.fault("positions_lag", seconds=0.5)
    sim.buy_filled()
    assert sim.client.get_all_positions() == []
    wait_for(lambda: sim.qty_of("AAPL") == "10", "the position to catch up")


def test_a_replacement_can_be_answered_and_rejected_later(sim: Sim) -> None:
    sim.price("AAPL", "100")
    old = sim.limit(50)
    sim.wait_status(old["id"], "new")
    sim.fault("reject_replacement", times=1)
    new = sim.api("PATCH", f"/v2/orders/{old['id']}", json={"limit_price": "51"}).json()
    assert new["replaces"] == old["id"]
    assert sim.wait_status(new["id"], "rejected")["failed_at"]
    assert sim.order(old["id"])["status"] == "new"


def test_faults_count_their_hits_wait_their_turn_and_end(sim: Sim) -> None:
    added = sim.fault("status", match={"path": "/v2/clock"}, after=1, times=2, status=503)
    assert [sim.api("GET", "/v2/clock").status_code for _ in range(4)] == [200, 503, 503, 200]
    [fault] = sim.http.get(f"{sim.url}/_sim/faults", timeout=10).json()
    assert (fault["id"], fault["seen"], fault["hits"], fault["spent"]) == (added["id"], 3, 2, True)
    sim.control("DELETE", f"faults/{added['id']}")
    assert sim.http.get(f"{sim.url}/_sim/faults", timeout=10).json() == []


@pytest.mark.parametrize(
    ("match", "status"),
    [
        ({"symbol": "KO"}, 503), ({"symbol": "PEP"}, 200), ({"client_order_id": "a"}, 503), ({"key_id": "sim"}, 503),
        ({"key_id": "other"}, 200), ({"path": r"/v2/ord\w+"}, 503), ({"path": "/v2/positions"}, 200),
        ({"method": "get"}, 200),
    ],
)  # fmt: skip
def test_what_a_fault_matches(sim: Sim, match: dict[str, str], status: int) -> None:
    sim.fault("status", match=match, status=503)
    body = {"symbol": "KO", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": "a"}
    assert sim.api("POST", "/v2/orders", json=body).status_code == status


@pytest.mark.parametrize(
    "document",
    [{}, {"fault": "nonsense"}, {"fault": "hang", "times": 0}, {"fault": "hang", "match": {"colour": "red"}},
     {"fault": "hang", "after": -1}, {"fault": "hang", "match": {"path": "("}}],
)  # fmt: skip
def test_a_fault_that_makes_no_sense_is_refused_with_the_reason(sim: Sim, document: dict[str, Any]) -> None:
    answer = sim.http.post(f"{sim.url}/_sim/faults", json=document, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_latency_is_added_to_every_answer(serve: Callable[..., Sim]) -> None:
    sim = serve(latency_ms=60)
    begun = time.monotonic()
    sim.api("GET", "/v2/clock")
    assert time.monotonic() - begun >= 0.06
    sim.act("config", latency_ms=0)
    assert sim.act("config")["latency_ms"] == 0


def test_the_request_log_is_cleared_on_demand(sim: Sim) -> None:
    sim.api("GET", "/v2/clock?x=1")
    [entry] = sim.http.get(f"{sim.url}/_sim/requests", timeout=10).json()
    assert (entry["method"], entry["path"], entry["query"], entry["status"]) == ("GET", "/v2/clock", "x=1", 200)
    sim.control("DELETE", "requests")
    assert sim.http.get(f"{sim.url}/_sim/requests", timeout=10).json() == []
