"""A venue on loopback whose accounts have histories of different length: what a reading costs is compared on it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

SYMBOLS = ("AAPL", "AMD", "BA", "CAT", "COST", "CVX", "DIS", "F", "GE", "GS", "HD", "IBM", "INTC", "JPM", "KO", "MCD")
HELD = 12
ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 300.0
#: Requests a minute that the venue allows and tells of: more than anybody makes, so that nobody waits for the next
#: minute. With a limit of 0 it would tell of Alpaca's 200, and the product would keep to them.
ALLOWED = 1_000_000


def history(orders: int, *, days: float, ending: datetime) -> dict[str, Any]:
    """An account with that many filled orders, spread evenly: bought and sold again, but for the last few."""
    step = timedelta(days=days) / orders
    first = ending - step * orders
    return {
        "cash": "100000000",
        "created_at": spelled(first - timedelta(days=1)),
        "orders": [_order(number, orders, first + step * number) for number in range(orders)],
    }


def _order(number: int, orders: int, at: datetime) -> dict[str, Any]:
    is_kept = number >= orders - HELD
    symbol = SYMBOLS[number % HELD] if is_kept else SYMBOLS[number // 2 % len(SYMBOLS)]
    return {
        "client_order_id": f"history-{number}",
        "symbol": symbol,
        "side": "buy" if is_kept or number % 2 == 0 else "sell",
        "qty": "10",
        "type": "market",
        "status": "filled",
        "filled_avg_price": "100.00",
        "submitted_at": spelled(at),
        "filled_at": spelled(at + timedelta(milliseconds=3)),
    }


def spelled(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@contextmanager
def venue(folder: Path, histories: dict[str, dict[str, Any]], *, latency_ms: float = 0) -> Iterator[str]:
    """Run the simulator on a free port with these accounts, by key; yield its address. It keeps nothing."""
    scenario, port_file = folder / "venue.json", folder / "venue.port"
    scenario.write_text(json.dumps({"accounts": histories}))
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "alpacasim", "--port", "0", "--port-file", str(port_file)]
    command += ["--rate-limit", str(ALLOWED), "--scenario", str(scenario), "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": ""}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the simulator did not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        process.terminate()
        process.wait(timeout=30)


class Trader:
    """Somebody who places orders at the venue, past the product."""

    def __init__(self, url: str, key_id: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers.update({"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": "sim"})

    def place(self, names: list[str]) -> list[dict[str, Any]]:
        """Buy one share each, and return the orders when they are filled."""
        for number, name in enumerate(names):
            body = {
                "symbol": SYMBOLS[number % len(SYMBOLS)],
                "side": "buy",
                "qty": "1",
                "type": "market",
                "time_in_force": "day",
                "client_order_id": name,
            }
            self.http.post(f"{self.url}/v2/orders", json=body, timeout=30).raise_for_status()
        return [self._filled(name) for name in names]

    def _filled(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            address = f"{self.url}/v2/orders:by_client_order_id"
            order: dict[str, Any] = self.http.get(address, params={"client_order_id": name}, timeout=30).json()
            if order["status"] == "filled":
                return order
            time.sleep(0.01)
        sys.exit(f"{name} was not filled")

    def fills(self, broker_order_id: str) -> list[dict[str, Any]]:
        address = f"{self.url}/v2/account/activities/FILL"
        found: list[dict[str, Any]] = self.http.get(address, params={"order_id": broker_order_id}, timeout=30).json()
        return found
