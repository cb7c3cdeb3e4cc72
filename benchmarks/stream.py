"""From a fill at the simulator to its row in the database, through the real stream: python -m benchmarks.stream

Each fill is of a resting order and comes alone. It begins with the moment that the venue writes on the execution, and
ends when another process can read the row. The bound: a byte to another process over loopback and back, and one
commit of one row under the same settings of the database, one after the other.
"""

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import requests

from benchmarks.databases import server
from benchmarks.history import venue
from benchmarks.installation import KEY, Installation, installation
from benchmarks.rows import Figure, Scale, run_alone, say

GOAL = 5.0
_FILLS, _QUICK_FILLS = 200, 20
_ECHO = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    other, _ = server.accept()
    other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := other.recv(1):
        other.sendall(data)
"""


def measure(scale: Scale) -> list[Figure]:
    count = _QUICK_FILLS if scale.is_quick else _FILLS
    account = {"cash": "900000000", "created_at": datetime(2025, 1, 2, tzinfo=UTC).isoformat(), "orders": []}
    with (
        tempfile.TemporaryDirectory(prefix="stream-") as name,
        venue(Path(name), {KEY: account}) as url,
        installation(Path(name), url) as installed,
    ):
        installed.start("stream")
        taken = sorted(_seconds_of_fills(installed, url, count))
        bound = sorted(_seconds_of_bound(Path(name), count))
    return [
        Figure(
            row="stream",
            what=f"a fill at the simulator to its row in the database, p95 of {count}",
            value=_p95(taken) * 1000,
            unit="ms",
            goal=GOAL,
            bound=_p95(bound) * 1000,
            bound_what="a loopback round trip and one commit, p95",
            note=f"medians {median(taken) * 1000:.1f} ms and {median(bound) * 1000:.2f} ms",
        )
    ]


def _p95(values: list[float]) -> float:
    return values[min(int(len(values) * 0.95), len(values) - 1)]


def _seconds_of_fills(installed: Installation, url: str, count: int) -> Iterator[float]:
    from django.utils import timezone

    from broker.accounts import default_account
    from broker.gateway import open_gateway
    from broker.models import StreamState
    from orders.booking import import_order
    from orders.models import Fill, Order

    account = default_account()
    gateway = open_gateway(account)
    live = StreamState.objects.filter(account=account, connected_at__isnull=False, gap_since__isnull=True)
    installed.wait_for(live.exists, "a live stream")
    with requests.Session() as http:
        http.trust_env = False
        for number in range(count + 3):
            terms = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "1.00"}
            document = {**terms, "time_in_force": "gtc", "client_order_id": f"stream-{number}"}
            headers = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": "sim"}
            http.post(f"{url}/v2/orders", json=document, headers=headers, timeout=30).raise_for_status()
            facts = gateway.get_order_by_client_id(f"stream-{number}")
            order = import_order(account=account, facts=facts, origin="batch", now=timezone.now(), actor="bench")
            # The sweep, which finds fills without a stream, comes in its time.
            Order.objects.filter(pk=order.pk).update(followed_at=timezone.now() + timedelta(seconds=1))
            time.sleep(0.05)
            action = {"order_id": order.broker_order_id, "price": "1.00"}
            http.post(f"{url}/_sim/actions/fill", json=action, timeout=30).raise_for_status()
            found = Fill.objects.filter(order=order)
            installed.wait_for(found.exists, f"fill {number}", pause=0.0005)
            seen = time.time()
            if number >= 3:  # the first ones fill caches
                yield seen - found.get().transaction_time.timestamp()
            if number % 50 == 49:
                say(f"{number + 1} of {count} fills")


def _seconds_of_bound(folder: Path, count: int) -> Iterator[float]:
    with _echo() as other, _committing(folder) as commit:
        for _ in range(count + 3):
            start = time.perf_counter()
            other.sendall(b"x")
            other.recv(1)
            commit()
            yield time.perf_counter() - start


@contextmanager
def _echo() -> Iterator[socket.socket]:
    process = subprocess.Popen([sys.executable, "-c", _ECHO], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        with socket.create_connection(("127.0.0.1", int(process.stdout.readline()))) as other:
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield other
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def _committing(folder: Path) -> Iterator[Callable[[], Any]]:
    from django.conf import settings

    table = "CREATE TABLE bench_commit (id INTEGER PRIMARY KEY, text TEXT)"
    if server():
        import psycopg

        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as opened:
            opened.execute(table.replace("INTEGER", "SERIAL"))
            yield lambda: opened.execute("INSERT INTO bench_commit (text) VALUES ('one row')")
        return
    plain = sqlite3.connect(folder / "bound.sqlite3", isolation_level=None)
    try:
        plain.executescript(str(settings.SQLITE_OPTIONS["init_command"]))
        plain.execute(table)
        yield lambda: plain.execute("INSERT INTO bench_commit (text) VALUES ('one row')")
    finally:
        plain.close()


if __name__ == "__main__":
    run_alone(measure)
