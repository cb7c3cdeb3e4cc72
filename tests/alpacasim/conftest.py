"""A simulator over real HTTP for each test, and the real alpaca-py to speak to it."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import requests
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

from alpacasim.server import Running, run_in_thread

T = TypeVar("T")
DEADLINE = 5.0


def wait_for(look: Callable[[], T | None], what: str = "the condition") -> T:
    """Polls until the look gives something true, and says what was missing when it never did."""
    end = time.monotonic() + DEADLINE
    while not (found := look()):
        assert time.monotonic() < end, f"{what} did not come within {DEADLINE} s"
        time.sleep(0.002)
    return found


class Sim:
    """The running simulator with the client of one account."""

    def __init__(self, running: Running, key_id: str = "sim") -> None:
        self.running = running
        self.url = running.url
        self.key_id = key_id
        self.client = connect(running.url, key_id)
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers.update({"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": "sim"})

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.url + path, timeout=10, **options)

    def control(self, method: str, path: str, **document: Any) -> Any:
        answer = self.http.request(method, f"{self.url}/_sim/{path}", json=document, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def act(self, action: str, **document: Any) -> Any:
        return self.control("POST", f"actions/{action}", **document)

    def fault(self, kind: str, **document: Any) -> Any:
        return self.control("POST", "faults", fault=kind, **document)

    def price(self, symbol: str, price: str) -> None:
        self.act("price", symbol=symbol, price=price)

    def market(self, symbol: str = "AAPL", qty: Any = 10, side: str = "buy", **fields: Any) -> dict[str, Any]:
        fields = {"time_in_force": "day", **fields}
        return self.client.submit_order(MarketOrderRequest(symbol=symbol, qty=qty, side=side, **fields))

    def limit(
        self, price: float, symbol: str = "AAPL", qty: Any = 10, side: str = "buy", **fields: Any
    ) -> dict[str, Any]:
        fields = {"time_in_force": "day", **fields}
        return self.client.submit_order(
            LimitOrderRequest(symbol=symbol, qty=qty, side=side, limit_price=price, **fields)
        )

    def order(self, order_id: str) -> dict[str, Any]:
        return self.client.get_order_by_id(order_id)

    def wait_status(self, order_id: str, status: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            order = self.order(order_id)
            return order if order["status"] == status else None

        return wait_for(look, f"status {status} of {order_id}")

    def buy_filled(self, symbol: str = "AAPL", qty: Any = 10) -> dict[str, Any]:
        return self.wait_status(self.market(symbol, qty)["id"], "filled")

    def qty_of(self, symbol: str) -> str | None:
        rows = {row["symbol"]: row["qty"] for row in self.client.get_all_positions()}
        return rows.get(symbol)

    def fills(self, **query: Any) -> list[dict[str, Any]]:
        return self.client.get("/account/activities/FILL", query)


def connect(url: str, key_id: str = "sim") -> TradingClient:
    client = TradingClient(key_id, "any", paper=True, raw_data=True, url_override=url)
    # A test that meets a 504 or a 429 wants to see it, not to wait for the client's own retries.
    client._retry = 0
    client._session.trust_env = False
    return client


@pytest.fixture
def serve() -> Iterator[Callable[..., Sim]]:
    """Starts simulators with the options that the test gives."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(key_id: str = "sim", **options: Any) -> Sim:
            options = {"rate_limit": 0, "fill_delay_ms": 2, **options}
            running = stack.enter_context(run_in_thread(**options))
            sim = Sim(running, key_id)
            stack.callback(sim.http.close)
            stack.callback(sim.client._session.close)
            return sim

        yield start


@pytest.fixture
def sim(serve: Callable[..., Sim]) -> Sim:
    return serve()
