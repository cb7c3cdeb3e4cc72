"""The bodies of refusals, word for word."""

from typing import Any

import pytest

from .conftest import Sim

ORDER = {"symbol": "AAPL", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day"}
SUB_PENNY = "sub-penny increment does not fulfill minimum pricing criteria"


def refusal(sim: Sim, **changes: Any) -> tuple[int, int, str]:
    body = {name: value for name, value in (ORDER | changes).items() if value is not None}
    answer = sim.api("POST", "/v2/orders", json=body)
    document = answer.json()
    assert "code" in document, f"accepted: {document}"
    return answer.status_code, document["code"], document["message"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"qty": None}, (422, 40010001, "qty or notional is required")),
        ({"notional": "5"}, (422, 40010001, "only one of qty or notional is accepted")),
        ({"type": "limit"}, (422, 40010001, "limit orders require a limit price")),
        ({"client_order_id": "x" * 129}, (422, 40010001, "client_order_id must be no more than 128 characters")),
        ({"symbol": "XXX"}, (422, 42210000, 'asset "XXX" not found')),
        ({"symbol": "RGC"}, (422, 42210000, 'asset "RGC" is not tradable')),
        ({"symbol": "TWTR"}, (422, 42210000, 'asset "TWTR" is not active')),
        ({"symbol": "OCGN", "qty": "1.5"}, (403, 40310000, 'asset "OCGN" is not fractionable')),
        ({"qty": "1.5", "time_in_force": "gtc"}, (422, 42210000, "fractional orders must be DAY orders")),
        ({"qty": None, "notional": "0.5"}, (422, 42210000, "notional must be >= 1.00")),
        (
            {"extended_hours": True},
            (422, 42210000, "extended hours order must be DAY or GTC limit orders"),
        ),
        (
            {"type": "limit", "limit_price": "290.123"},
            (422, 42210000, f"invalid limit_price 290.123. {SUB_PENNY}"),
        ),
        (
            {"type": "limit", "limit_price": "0.12345"},
            (422, 42210000, f"invalid limit_price 0.12345. {SUB_PENNY}"),
        ),
        ({"symbol": "BTC/USD", "qty": "0.1"}, (422, 42210000, "invalid crypto time_in_force")),
        (
            {"symbol": "BTC/USD", "qty": "0.00001", "time_in_force": "gtc"},
            (403, 40310000, "cost basis must be >= minimal amount of order 10"),
        ),
        (
            {"symbol": "BTC/USD", "qty": "1", "time_in_force": "gtc", "side": "sell"},
            (403, 40310000, "insufficient balance for BTC (requested: 1, available: 0)"),
        ),
        ({"symbol": "OCGN", "side": "sell"}, (403, 40310000, 'asset "OCGN" cannot be sold short')),
    ],
)
def test_refusal(sim: Sim, changes: dict[str, Any], expected: tuple[int, int, str]) -> None:
    assert refusal(sim, **changes) == expected
    assert sim.client.get("/orders", {"status": "all"}) == [], "a refused order leaves nothing"


def test_insufficient_buying_power(sim: Sim) -> None:
    sim.price("AAPL", "100")
    answer = sim.api("POST", "/v2/orders", json=ORDER | {"qty": "2001"})
    assert answer.status_code == 403
    assert answer.json() == {
        "buying_power": "200000", "code": 40310000, "cost_basis": "200100", "message": "insufficient buying power",
    }  # fmt: skip


def test_open_orders_reserve_buying_power(sim: Sim) -> None:
    sim.price("AAPL", "100")
    sim.wait_status(sim.limit(90, qty=1000)["id"], "new")
    assert sim.client.get_account()["buying_power"] == "110000"
    assert refusal(sim, qty="1101")[2] == "insufficient buying power"


def test_selling_more_than_is_free(sim: Sim) -> None:
    sim.price("KO", "70")
    sim.buy_filled("KO", "0.557436865")
    answer = sim.api("POST", "/v2/orders", json=ORDER | {"symbol": "KO", "side": "sell", "qty": "1.057436865"})
    assert answer.status_code == 403
    assert answer.json() == {
        "available": "0.557436865",
        "code": 40310000,
        "existing_qty": "0.557436865",
        "held_for_orders": "0",
        "message": "insufficient qty available for order (requested: 1.057436865, available: 0.557436865)",
        "symbol": "KO",
    }


def test_shares_that_an_order_holds_are_not_free(sim: Sim) -> None:
    sim.price("KO", "70")
    sim.buy_filled("KO", 10)
    sim.limit(80, "KO", 7, "sell")
    answer = sim.api("POST", "/v2/orders", json=ORDER | {"symbol": "KO", "side": "sell", "qty": "4"}).json()
    assert (answer["available"], answer["existing_qty"], answer["held_for_orders"]) == ("3", "10", "7")


def test_a_wash_trade(sim: Sim) -> None:
    sim.price("AAPL", "100")
    resting = sim.limit(90)
    answer = sim.api("POST", "/v2/orders", json=ORDER | {"symbol": "AAPL", "side": "sell"}).json()
    assert answer == {
        "code": 40310000,
        "existing_order_id": resting["id"],
        "message": "potential wash trade detected. use complex orders",
        "reject_reason": "opposite side limit order exists",
    }


def test_limits_that_do_not_cross_are_no_wash_trade(sim: Sim) -> None:
    sim.price("AAPL", "100")
    sim.buy_filled("AAPL", 5)
    sim.limit(90)
    assert sim.limit(110, qty=5, side="sell")["status"] == "pending_new"


def test_a_stop_on_the_wrong_side_of_the_market(sim: Sim) -> None:
    sim.price("AAPL", "162.6")
    sim.buy_filled()
    answer = sim.api("POST", "/v2/orders", json=ORDER | {"side": "sell", "type": "stop", "stop_price": "167.01"})
    assert answer.status_code == 422
    assert answer.json() == {
        "code": 42210000, "market_price": "162.6", "message": "stop price must be less than current price",
        "stop_price": "167.01",
    }  # fmt: skip


def test_no_shorting_when_the_account_forbids_it(sim: Sim) -> None:
    sim.api("PATCH", "/v2/account/configurations", json={"no_shorting": True})
    assert refusal(sim, side="sell") == (403, 40310000, "account is not allowed to short")


def test_a_short_is_a_negative_position(sim: Sim) -> None:
    sim.price("AAPL", "100")
    order = sim.wait_status(sim.market(side="sell")["id"], "filled")
    assert order["position_intent"] == "sell_to_open"
    position = sim.client.get_open_position("AAPL")
    assert (position["qty"], position["side"], position["market_value"]) == ("-10", "short", "-1000")
    assert sim.fills()[0]["side"] == "sell_short"
    assert sim.client.get_account()["cash"] == "101000"


@pytest.mark.parametrize("content", [b"{not json", b"[1]", b'"text"'])
def test_a_body_that_is_no_order(sim: Sim, content: bytes) -> None:
    answer = sim.api("POST", "/v2/orders", data=content)
    assert (answer.status_code, answer.json()["code"]) == (400, 40010000)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v2/positions/AAPL", "position does not exist"),
        ("/v2/assets/BLAH", "asset not found for BLAH"),
        ("/v2/orders/0000", "order not found for 0000"),
        ("/v2/orders:by_client_order_id?client_order_id=x", "order not found for x"),
    ],
)
def test_what_is_not_there(sim: Sim, path: str, message: str) -> None:
    answer = sim.api("GET", path)
    assert (answer.status_code, answer.json()) == (404, {"code": 40410000, "message": message})
