"""The running simulator, as tests use it: over HTTP, each test under a key of its own."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 20.0


def wait_for(look: Callable[[], T | None], what: str, *, seconds: float = DEADLINE_SECONDS) -> T:
    """Look again and again until there is something; say what never came."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.005)
    return found


class Simulator:
    """One simulator process. `admin` reaches its /_sim control: GET without a document, POST with one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False

    def admin(self, path: str, document: dict[str, Any] | None = None, *, method: str = "") -> Any:
        method = method or ("GET" if document is None else "POST")
        answer = self.http.request(method, f"{self.url}/_sim/{path}", json=document, timeout=10)
        assert answer.ok, answer.text
        return answer.json()


class SimAccount:
    """One account at the simulator: what a test makes happen there, and what it was asked."""

    def __init__(self, simulator: Simulator, key_id: str) -> None:
        self.simulator = simulator
        self.url = simulator.url
        self.key_id = key_id
        self._pinned: set[str] = set()
        self._config = simulator.admin("actions/config", {})

    @property
    def environment(self) -> dict[str, str]:
        """For a process that shall use this account."""
        return {
            "ALPACA_ENV": "sim",
            "ALPACA_BASE_URL": self.url,
            "ALPACA_API_KEY": self.key_id,
            "ALPACA_SECRET_KEY": "sim",
        }

    def fault(self, kind: str, method: str = "", path: str = "", *, times: int | None = 1, **options: Any) -> Any:
        """Let `kind` strike this account's next requests; give `match` to say more than method and path."""
        match = {"key_id": self.key_id, **options.pop("match", {})}
        match |= {name: value for name, value in (("method", method), ("path", path)) if value}
        return self.simulator.admin("faults", {"fault": kind, "match": match, "times": times, **options})

    def clear_faults(self) -> None:
        self.simulator.admin("faults", method="DELETE")

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """What this account asked, in order; `path` without its query."""
        found: list[dict[str, Any]] = self.simulator.admin(f"requests?key_id={self.key_id}")
        return [r for r in found if method in {"", r["method"]} and path in {"", r["path"]}]

    def act(self, action: str, **document: Any) -> Any:
        return self.simulator.admin(f"actions/{action}", document)

    def manual_order(self, **fields: Any) -> Any:
        """An order that a person places elsewhere."""
        return self.act("manual_order", key_id=self.key_id, **fields)

    def price(self, symbol: str, price: str) -> None:
        self._pinned.add(symbol)
        self.act("price", symbol=symbol, price=price)

    def configure(self, **options: Any) -> None:
        """latency_ms, fill_delay_ms, hold_fills, partial_fills, rate_limit: undone after the test."""
        self.act("config", **options)

    def api(self, method: str, path: str, **options: Any) -> Any:
        """What Alpaca's API itself says, past the product."""
        headers = {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": "sim"}
        answer = self.simulator.http.request(method, self.url + path, headers=headers, timeout=10, **options)
        return answer.json() if answer.content else None

    def order(self, client_order_id: str) -> dict[str, Any]:
        query = {"client_order_id": client_order_id}
        order: dict[str, Any] = self.api("GET", "/v2/orders:by_client_order_id", params=query)
        return order

    def wait_for_status(self, client_order_id: str, status: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            order = self.order(client_order_id)
            return order if order.get("status") == status else None

        return wait_for(look, f"status {status} of {client_order_id}")

    def reset(self) -> None:
        self.clear_faults()
        for symbol in self._pinned:
            self.act("price", symbol=symbol, price=None)
        self.act("config", **self._config)
        self.act("clock", mode="open", follow=True)


@contextmanager
def running_simulator(folder: Path) -> Iterator[Simulator]:
    """Start a simulator process on a free port and end it afterwards."""
    port_file, log = folder / "port", folder / "simulator.log"
    # A limit that no test meets, because the headers tell it to the product's own budget.
    command = [sys.executable, "-m", "alpacasim", "--port", "0", "--port-file", str(port_file)]
    command += ["--rate-limit", "1000000", "--fill-delay-ms", "2"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        port = wait_for(lambda: _port(process, port_file, log), "the simulator", seconds=60)
        simulator = Simulator(f"http://127.0.0.1:{port}")
        with simulator.http:
            yield simulator
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> str | None:
    assert process.poll() is None, f"the simulator ended: {log.read_text()}"
    text = port_file.read_text() if port_file.exists() else ""
    return text.strip() if text.endswith("\n") else None
