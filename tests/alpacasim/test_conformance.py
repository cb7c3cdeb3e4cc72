"""Every answer of every route against Alpaca's own OpenAPI document.

The document comes with the development requirements (`make setup`) and is not part of this repository.
Where the simulator follows recordings of the real API against the document, DEVIATIONS says so.
OUTSIDE names the routes that are no part of the trading API, and the document that they are held to instead.
"""

import json
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime
from importlib import metadata
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from alpacasim.routes.market_data import ROUTES
from alpacasim.server import create_app

from .conftest import Sim

DOCUMENT = "urn:alpaca:trading-api"
NOBODY = "00000000-0000-0000-0000-000000000000"

# Fields that the real API sends and the document does not name.
UNDOCUMENTED = {
    "Order": {
        "source": "in every recorded order (null)",
        "subtag": "in every recorded order (null, or the label of a partner's sub-account)",
    },
    "Account": {
        "admin_configurations": "in the document's own example of an account",
        "user_configurations": "in the document's own example of an account",
        "position_market_value": "in the document's own example of an account",
        "crypto_tier": "in the document's own example of an account",
        "effective_buying_power": "in the document's own example of an account",
    },
    "Assets": {"easy_to_borrow": "in the document's own example of an asset"},
    "CanceledOrderResponse": {"body": "recorded: each row of a cancel-all carries the order"},
}
DEVIATIONS = {
    "401 body": "Alpaca's 401 is {'message': 'unauthorized.'} without the code that the Error schema requires",
    "207 refused position": "recorded: a refused row of close-all has an error body where the schema wants an order",
    "no credentials": "without any key the proxy in front of the API answers in HTML",
}
# Routes that the trading API's document does not describe, because Alpaca serves them from another host.
MARKET_DATA = "market-data-api.json"
OUTSIDE = {"/v2/stocks/trades/latest": MARKET_DATA, "/v2/stocks/bars": MARKET_DATA}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return installed("trading-api.json")


def installed(specification: str) -> dict[str, Any]:
    name = f"alpaca_mcp_server/specs/{specification}"
    files = metadata.files("alpaca-mcp-server") or []
    found = next((file for file in files if str(file) == name), None)
    assert found is not None, "Alpaca's OpenAPI document is not installed; run `make setup`"
    return json.loads(found.read_text(encoding="utf-8"))


class Conformance:
    """Finds the schema of an answer in the document and holds the answer to it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        resource = DRAFT202012.create_resource(document)
        self.registry: Registry[Any] = Registry().with_resource(DOCUMENT, resource)
        self.formats = FormatChecker()
        self.formats.checks("uuid", ValueError)(lambda v: not isinstance(v, str) or bool(uuid.UUID(v)))
        self.formats.checks("date", ValueError)(lambda v: not isinstance(v, str) or bool(date.fromisoformat(v)))
        self.formats.checks("date-time", ValueError)(_is_instant)
        self.seen: set[tuple[str, str, int]] = set()

    def check(self, path: str, answer: requests.Response) -> None:
        method = str(answer.request.method).lower()
        self.seen.add((method, path, answer.status_code))
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])
        for name in ("Limit", "Remaining", "Reset"):
            assert int(answer.headers[f"X-RateLimit-{name}"]) >= 0
        responses = self.document["paths"][path][method]["responses"]
        described = responses.get(str(answer.status_code), {})
        schema = described.get("content", {}).get("application/json", {}).get("schema")
        if answer.status_code >= 400:
            self.validate(answer.json(), "/components/schemas/Error")
        elif schema is None:
            assert answer.content == b"", "the document describes no content"
            assert str(answer.status_code) in responses
        else:
            place = f"/paths/{_escape(path)}/{method}/responses/{answer.status_code}"
            self.validate(answer.json(), f"{place}/content/application~1json/schema")
            self.check_fields(answer.json(), schema)

    def validate(self, value: Any, pointer: str) -> None:
        schema = {"$ref": f"{DOCUMENT}#{pointer}"}
        validator = Draft202012Validator(schema, registry=self.registry, format_checker=self.formats)
        errors = [f"{e.json_path}: {e.message}" for e in validator.iter_errors(value)]
        assert not errors, f"{pointer}: {errors[:5]}"

    def check_fields(self, value: Any, schema: dict[str, Any]) -> None:
        """No field that the document does not name, but for the ones that are listed above."""
        schemas = self.document["components"]["schemas"]
        if isinstance(value, list) and "items" not in schema:
            schema = schemas[schema["$ref"].rsplit("/", 1)[-1]]
        rows, schema = (value, schema["items"]) if isinstance(value, list) else ([value], schema)
        name = schema.get("$ref", "").rsplit("/", 1)[-1]
        properties = schemas.get(name, {}).get("properties")
        if properties is None:
            return
        for row in rows:
            assert set(row) - set(properties) <= set(UNDOCUMENTED.get(name, {})), name


def _escape(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1")


def _is_instant(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    # The document calls an activity's settlement date a date-time and shows a bare date.
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return True
    return bool(datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", r".\1", value)))


@pytest.fixture
def conformance(document: dict[str, Any]) -> Conformance:
    return Conformance(document)


ORDER = {"symbol": "AAPL", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day"}
LIMIT = ORDER | {"type": "limit", "limit_price": "50", "symbol": "MSFT"}
BRACKET = LIMIT | {
    "order_class": "bracket",
    "limit_price": "101",
    "symbol": "KO",
    "take_profit": {"limit_price": "120"},
    "stop_loss": {"stop_price": "90", "limit_price": "89"},
}
OCO = ORDER | {
    "side": "sell", "type": "limit", "order_class": "oco",
    "take_profit": {"limit_price": "400"}, "stop_loss": {"stop_price": "100"},
}  # fmt: skip
OTO = LIMIT | {"order_class": "oto", "symbol": "IBM", "stop_loss": {"stop_price": "40"}}
TRAILING = ORDER | {"side": "sell", "qty": "1", "symbol": "T", "type": "trailing_stop", "trail_price": "2"}


def submit(sim: Sim, conformance: Conformance, body: dict[str, Any]) -> dict[str, Any]:
    answer = sim.api("POST", "/v2/orders", json=body)
    assert answer.status_code == 200, answer.text
    conformance.check("/v2/orders", answer)
    return answer.json()


def test_orders_of_every_class_and_kind(sim: Sim, conformance: Conformance) -> None:
    for symbol in ("AAPL", "KO"):
        sim.price(symbol, "100")
    sim.buy_filled("AAPL", 30)
    sim.buy_filled("T", 3)
    bodies: list[dict[str, Any]] = [
        LIMIT, BRACKET, OCO, OTO, TRAILING,
        ORDER | {"symbol": "F", "notional": "25.5", "qty": None},
        ORDER | {"symbol": "BAC", "type": "stop", "stop_price": "900"},
        ORDER | {"symbol": "GE", "type": "stop_limit", "stop_price": "900", "limit_price": "901"},
        {"symbol": "BTC/USD", "qty": "0.01", "side": "buy", "type": "market", "time_in_force": "gtc"},
    ]  # fmt: skip
    orders = [submit(sim, conformance, body) for body in bodies]
    for order in orders:
        conformance.check("/v2/orders/{order_id}", sim.api("GET", f"/v2/orders/{order['id']}?nested=true"))
        query = {"client_order_id": order["client_order_id"]}
        conformance.check(
            "/v2/orders:by_client_order_id", sim.api("GET", "/v2/orders:by_client_order_id", params=query)
        )
    for nested in ("true", "false"):
        query = {"status": "all", "nested": nested, "limit": "500"}
        conformance.check("/v2/orders", sim.api("GET", "/v2/orders", params=query))
    sim.wait_status(orders[0]["id"], "new")
    answer = sim.api("PATCH", f"/v2/orders/{orders[0]['id']}", json={"limit_price": "51"})
    assert answer.status_code == 200, answer.text
    conformance.check("/v2/orders/{order_id}", answer)
    conformance.check("/v2/orders/{order_id}", sim.api("DELETE", f"/v2/orders/{orders[1]['id']}"))
    answer = sim.api("DELETE", "/v2/orders")
    assert answer.status_code == 207
    assert answer.json()
    conformance.check("/v2/orders", answer)


def test_refused_orders(sim: Sim, conformance: Conformance) -> None:
    sim.price("AAPL", "100")
    taken = submit(sim, conformance, LIMIT | {"client_order_id": "taken"})
    refused = [
        (422, ORDER | {"client_order_id": "taken"}),
        (422, ORDER | {"symbol": "NOSUCH"}),
        (422, ORDER | {"symbol": "RGC"}),
        (422, ORDER | {"type": "limit", "limit_price": "290.123"}),
        (422, ORDER | {"qty": None}),
        (422, ORDER | {"qty": "ten"}),
        (403, ORDER | {"qty": "100000"}),
        (403, ORDER | {"symbol": "OCGN", "qty": "0.5"}),
        (403, LIMIT | {"side": "sell", "limit_price": "49"}),
    ]
    for status, body in refused:
        answer = sim.api("POST", "/v2/orders", json=body)
        assert answer.status_code == status, (body, answer.text)
        conformance.check("/v2/orders", answer)
    sim.wait_status(taken["id"], "new")
    sim.act("cancel", order_id=taken["id"])
    for method, body in (("DELETE", None), ("PATCH", {"qty": "5"})):
        answer = sim.api(method, f"/v2/orders/{taken['id']}", json=body)
        assert answer.status_code == 422
        conformance.check("/v2/orders/{order_id}", answer)
    for method in ("GET", "DELETE", "PATCH"):
        answer = sim.api(method, f"/v2/orders/{NOBODY}", json={})
        assert answer.status_code == 404
        conformance.check("/v2/orders/{order_id}", answer)


def test_positions(sim: Sim, conformance: Conformance) -> None:
    for symbol in ("AAPL", "KO", "MSFT"):
        sim.buy_filled(symbol, 10)
    sim.wait_status(sim.market("F", 5, "sell")["id"], "filled")
    answer = sim.api("GET", "/v2/positions")
    assert [row["side"] for row in answer.json()] == ["long", "short", "long", "long"]
    conformance.check("/v2/positions", answer)
    one = "/v2/positions/{symbol_or_asset_id}"
    conformance.check(one, sim.api("GET", "/v2/positions/AAPL"))
    conformance.check(one, sim.api("DELETE", "/v2/positions/AAPL?percentage=50"))
    conformance.check(one, sim.api("GET", "/v2/positions/NOSUCH"))
    conformance.check(one, sim.api("DELETE", "/v2/positions/NOSUCH"))
    conformance.check(one, sim.api("DELETE", "/v2/positions/KO?qty=11"))
    conformance.check("/v2/positions", sim.api("DELETE", "/v2/positions"))
    assert {status for _, _, status in conformance.seen} == {200, 403, 404, 207}


def test_a_refused_row_of_close_all_holds_an_error(sim: Sim, conformance: Conformance) -> None:
    sim.price("AAPL", "100")
    sim.buy_filled("AAPL", 10)
    submit(sim, conformance, ORDER | {"side": "sell", "type": "limit", "limit_price": "400"})
    answer = sim.api("DELETE", "/v2/positions?cancel_orders=true")
    assert answer.status_code == 207
    canceled, position = answer.json()
    assert canceled["status"] == 200
    assert position == {
        "symbol": "AAPL",
        "status": 403,
        "body": {
            "available": "0", "code": 40310000, "existing_qty": "10", "held_for_orders": "10",
            "message": "insufficient qty available for order (requested: 10, available: 0)", "symbol": "AAPL",
        },
    }, DEVIATIONS["207 refused position"]  # fmt: skip
    conformance.validate(position["body"], "/components/schemas/Error")


def test_account_and_activities(sim: Sim, conformance: Conformance) -> None:
    sim.buy_filled()
    sim.act("activity", key_id="sim", activity_type="DIV", symbol="AAPL", net_amount="1.02", qty="2")
    conformance.check("/v2/account", sim.api("GET", "/v2/account"))
    conformance.check("/v2/account/configurations", sim.api("GET", "/v2/account/configurations"))
    answer = sim.api("PATCH", "/v2/account/configurations", json={"no_shorting": True})
    conformance.check("/v2/account/configurations", answer)
    answer = sim.api("GET", "/v2/account/activities")
    assert {row["activity_type"] for row in answer.json()} == {"FILL", "DIV"}
    conformance.check("/v2/account/activities", answer)
    for kind, pointer in (("FILL", "TradingActivities"), ("DIV", "NonTradeActivities")):
        [row] = sim.api("GET", f"/v2/account/activities/{kind}").json()
        # The document's `oneOf` accepts neither kind alone, because both schemas take any object.
        conformance.validate(row, f"/components/schemas/{pointer}")
        properties = conformance.document["components"]["schemas"][pointer]["properties"]
        assert set(row) <= set(properties)
    for query in ("page_size=101", "page_token=nonsense", "direction=sideways", "after=yesterday"):
        answer = sim.api("GET", f"/v2/account/activities?{query}")
        assert answer.status_code == 422
        conformance.check("/v2/account/activities", answer)


@pytest.mark.parametrize("query", ["", "period=1D&timeframe=5Min", "period=1A", "start=2026-01-05&end=2026-01-09"])
def test_portfolio_history(sim: Sim, conformance: Conformance, query: str) -> None:
    sim.buy_filled()
    conformance.check("/v2/account/portfolio/history", sim.api("GET", f"/v2/account/portfolio/history?{query}"))


def test_clock_calendar_and_assets(sim: Sim, conformance: Conformance) -> None:
    conformance.check("/v2/clock", sim.api("GET", "/v2/clock"))
    conformance.check("/v2/calendar", sim.api("GET", "/v2/calendar?start=2025-11-01&end=2025-12-31"))
    conformance.check("/v2/calendar", sim.api("GET", "/v2/calendar?start=soon"))
    for query in ("", "?asset_class=crypto", "?status=inactive", "?exchange=ARCA"):
        answer = sim.api("GET", f"/v2/assets{query}")
        assert answer.json()
        conformance.check("/v2/assets", answer)
    for name in ("AAPL", "BTC/USD", "NOSUCH"):
        conformance.check("/v2/assets/{symbol_or_asset_id}", sim.api("GET", f"/v2/assets/{name}"))


def test_market_data_is_outside_of_the_trading_specification(
    serve: Callable[..., Sim], document: dict[str, Any]
) -> None:
    market_data = Conformance(installed(MARKET_DATA))
    served = {route.path for route in ROUTES}
    assert served == set(OUTSIDE), "every market-data route is listed here"
    for path in served:
        assert path not in document["paths"], f"{path} is in the trading specification: check it there"
        assert path in market_data.document["paths"]
    sim = serve(rate_limit=2)
    for query in ("AAPL,F,SPY,NOSUCH", "NOSUCH"):
        answer = sim.api("GET", f"/v2/stocks/trades/latest?symbols={query}")
        assert answer.status_code == 200
        market_data.check("/v2/stocks/trades/latest", answer)
    other = serve(rate_limit=20)
    for query in ("symbols=AAPL,NOSUCH&limit=2", "symbols=NOSUCH", "symbols=AAPL&feed=iex&adjustment=raw"):
        answer = other.api("GET", f"/v2/stocks/bars?timeframe=1Day&start=2025-11-03T00:00:00Z&{query}")
        assert answer.status_code == 200
        market_data.check("/v2/stocks/bars", answer)
    refused = sim.api("GET", "/v2/stocks/trades/latest")
    # That document describes errors by their status and headers alone.
    assert refused.status_code == 429
    assert str(refused.status_code) in market_data.document["paths"]["/v2/stocks/trades/latest"]["get"]["responses"]


def test_every_route_is_in_one_of_the_documents(sim: Sim, document: dict[str, Any]) -> None:
    """A route that nobody checks against anything would be a promise without proof."""
    described = {shape(path) for path in document["paths"]} | {shape(path) for path in OUTSIDE}
    app: Any = create_app(sim.running.simulator)
    served = {shape(route.path) for route in app._app.routes if route.path.startswith("/v2/")}
    assert served <= described


def shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_too_many_requests(serve: Callable[..., Sim], conformance: Conformance) -> None:
    sim = serve(rate_limit=1)
    sim.api("GET", "/v2/clock")
    answer = sim.api("GET", "/v2/clock")
    assert answer.status_code == 429
    conformance.check("/v2/clock", answer)


def test_unauthorized(sim: Sim) -> None:
    answer = sim.api("GET", "/v2/account", headers={"APCA-API-KEY-ID": "unauthorized"})
    assert (answer.status_code, answer.json()) == (401, {"message": "unauthorized."}), DEVIATIONS["401 body"]
    answer = requests.get(f"{sim.url}/v2/account", timeout=10)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"].startswith("text/html"), DEVIATIONS["no credentials"]
