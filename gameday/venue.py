"""The broker's side of a story: what is made to happen at the simulator, past the product."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import requests

Found = TypeVar("Found")

PATIENCE_SECONDS = 20.0
#: Requests a minute. The answers tell it to the product, which spends what it has sparingly.
UNLIMITED = 100_000


def until(look: Callable[[], Found | None], what: str, *, seconds: float = PATIENCE_SECONDS) -> Found:
    """Look again and again until there is something; say what never came."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.05)
    return found


class Venue:
    """One account at a running simulator. Whatever is changed there is put back by `heal`."""

    def __init__(self, url: str, key_id: str) -> None:
        self.url, self.key_id = url, key_id
        self.http = requests.Session()
        self.http.trust_env = False
        self._config: dict[str, Any] = self.act("config")
        self._pinned: set[str] = set()

    def heal(self) -> None:
        """No fault is left, no price is pinned, orders fill as before."""
        self._control("faults", method="DELETE")
        for symbol in self._pinned:
            self.act("price", symbol=symbol, price=None)
        self._pinned.clear()
        self.act("config", **self._config)

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Many days' requests come within minutes: meanwhile there is no limit on requests a minute."""
        was = dict(self._config)
        self._config = was | {"rate_limit": UNLIMITED}
        self.act("config", **self._config)
        try:
            yield
        finally:
            self._config = was
            self.heal()

    def list_company(self, symbol: str, name: str) -> None:
        """Bring a company to the market that nobody has traded yet, at 100 dollars."""
        listed = {"symbol": symbol, "name": name, "level": "100", "shortable": True, "fractionable": True}
        self._control("state", {"assets": [listed]})
        self.price(symbol, "100")

    # What goes wrong, and what is done elsewhere

    def fault(self, kind: str, method: str = "", path: str = "", *, times: int | None = None, **options: Any) -> None:
        """Let `kind` strike this account's next requests; `times` None: until it is healed."""
        match = {"key_id": self.key_id, **options.pop("match", {})}
        match |= {name: value for name, value in (("method", method), ("path", path)) if value}
        self._control("faults", {"fault": kind, "match": match, "times": times, **options})

    def clear(self) -> None:
        self._control("faults", method="DELETE")

    def act(self, action: str, **document: Any) -> Any:
        return self._control(f"actions/{action}", document)

    def configure(self, **options: Any) -> None:
        self.act("config", **options)

    def price(self, symbol: str, price: str) -> None:
        self._pinned.add(symbol)
        self.act("price", symbol=symbol, price=price)

    def by_hand(self, *, wait: str = "filled", **fields: Any) -> dict[str, Any]:
        """An order that somebody places in Alpaca's own app."""
        body = {"type": "market", "time_in_force": "day", **fields}
        order = self.act("manual_order", key_id=self.key_id, **body)
        return self.wait_for(str(order["id"]), wait)

    def fill(self, order_id: str, qty: str) -> None:
        self.act("fill", order_id=order_id, qty=qty)

    def replace(self, order_id: str, **fields: Any) -> dict[str, Any]:
        order: dict[str, Any] = self.api("PATCH", f"/v2/orders/{order_id}", json=fields)
        return order

    # What Alpaca's API says itself

    def api(self, method: str, path: str, **options: Any) -> Any:
        headers = {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": "sim"}
        answer = self.http.request(method, self.url + path, headers=headers, timeout=10, **options)
        return answer.json() if answer.content else None

    def order(self, order_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/v2/orders/{order_id}")
        return found

    def wait_for(self, order_id: str, status: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            order = self.order(order_id)
            return order if order.get("status") == status else None

        return until(look, f"status {status} of order {order_id}")

    def orders_of(self, client_order_id: str) -> list[dict[str, Any]]:
        listed = self.api("GET", "/v2/orders", params={"status": "all", "limit": "500", "direction": "desc"})
        return [order for order in listed if order["client_order_id"] == client_order_id]

    def open_orders(self, symbol: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api("GET", "/v2/orders", params={"status": "open", "symbols": symbol})
        return found

    def held(self, symbol: str) -> str:
        """The quantity that Alpaca holds: "0" for none."""
        rows = [row["qty"] for row in self.api("GET", "/v2/positions") if row["symbol"] == symbol]
        return str(rows[0]) if rows else "0"

    def requests(self, method: str, path: str) -> list[dict[str, Any]]:
        found = self._control(f"requests?key_id={self.key_id}")
        return [one for one in found if one["method"] == method and one["path"] == path]

    def _control(self, path: str, document: dict[str, Any] | None = None, *, method: str = "") -> Any:
        method = method or ("GET" if document is None else "POST")
        answer = self.http.request(method, f"{self.url}/_sim/{path}", json=document, timeout=10)
        if not answer.ok:
            raise RuntimeError(f"the simulator refused {path}: {answer.text}")
        return answer.json()
