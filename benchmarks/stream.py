"""From a fill at the simulator to its rows in the database, through the real stream: python -m benchmarks.stream

Each fill is of a resting order that the market meets, and comes alone. It begins with the moment that the venue writes
on the execution, and ends when another process can read the row. There are two: the order's own, which then says
`filled` with quantity and average price, as its page shows it, and is committed; and, after a request for the list of
activities, the execution's in the ledger, with which the position has followed. The bound: a byte to another process
over loopback and back, and one commit of one row under the same settings of the database, one after the other. What
the same takes in turn with the fills, after a pause, is told beside it: processes that have just slept are slower at
anything, and fills come out of silence.
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
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.databases import server
from benchmarks.history import venue
from benchmarks.installation import KEY, Installation, installation
from benchmarks.rows import Figure, Scale, run_alone, say

if TYPE_CHECKING:
    from django.db.models import QuerySet

GOAL = 5.0
_FILLS, _QUICK_FILLS = 200, 20
#: Before the bound is taken in turn with the fills, each of which comes after as much, on the average.
_SILENCE = 0.1
#: Between two looks for a row, in seconds.
_PAUSE = 0.0003
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
        with _bound(Path(name)) as seconds_of_bound:
            taken = [(*both, seconds_of_bound(_SILENCE)) for both in _seconds_of_fills(installed, url, count)]
            bound = sorted(seconds_of_bound(0.0) for _ in range(count))
    orders, executions, paused = (sorted(column) for column in zip(*taken, strict=True))
    return [
        Figure(
            row="stream",
            what=f"a fill at the simulator to the order's row that says so: filled, quantity, price; p95 of {count}",
            value=_p95(orders) * 1000,
            unit="ms",
            goal=GOAL,
            bound=_p95(bound) * 1000,
            bound_what="a loopback round trip and one commit, p95",
            note=f"medians {median(orders) * 1000:.1f} ms and {median(bound) * 1000:.2f} ms; the bound after pauses, "
            f"p95, {_p95(paused) * 1000:.2f} ms; execution and position, after a request: "
            f"median {median(executions) * 1000:.0f} ms, p95 {_p95(executions) * 1000:.0f} ms",
        )
    ]


def _p95(values: list[float]) -> float:
    return values[min(int(len(values) * 0.95), len(values) - 1)]


def _seconds_of_fills(installed: Installation, url: str, count: int) -> Iterator[tuple[float, float]]:
    """Yield of each fill the seconds to the order's row, and to the execution's."""
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
            # At this limit the market meets it with its next tick.
            action = {"order_id": order.broker_order_id, "limit_price": "9000"}
            http.post(f"{url}/_sim/actions/terms", json=action, timeout=30).raise_for_status()
            filled_at = _wait_for(installed, *_plain(_filled(order.pk)), f"order {number}, filled")
            booked_at = _wait_for(installed, *_plain(Fill.objects.filter(order=order)), f"fill {number}")
            if number >= 3:  # the first ones fill caches
                began = Fill.objects.get(order=order).transaction_time.timestamp()
                yield filled_at - began, booked_at - began
            if number % 50 == 49:
                say(f"{number + 1} of {count} fills")


def _filled(pk: int) -> "QuerySet[Any]":
    from orders.models import Order

    return Order.objects.filter(pk=pk, status="filled", filled_qty=1, filled_avg_price__isnull=False)


def _plain(rows: "QuerySet[Any]") -> tuple[str, tuple[Any, ...]]:
    """Return the question for one of the rows, made once: whoever waits takes little from those that are measured."""
    sql, parameters = rows.order_by().values("pk")[:1].query.sql_with_params()
    return sql, tuple(parameters)


def _wait_for(installed: Installation, sql: str, parameters: tuple[Any, ...], what: str) -> float:
    """Return the moment at which there was such a row to read."""
    from django.db import connection

    with connection.cursor() as cursor:

        def look() -> bool:
            cursor.execute(sql, parameters)
            return cursor.fetchone() is not None

        installed.wait_for(look, what, pause=_PAUSE)
        return time.time()


@contextmanager
def _bound(folder: Path) -> Iterator[Callable[[float], float]]:
    """Yield what takes the bound once, after so many seconds of silence."""
    with _echo() as other, _committing(folder) as commit:

        def seconds_of_bound(silence: float) -> float:
            time.sleep(silence)
            start = time.perf_counter()
            other.sendall(b"x")
            other.recv(1)
            commit()
            return time.perf_counter() - start

        for _ in range(3):
            seconds_of_bound(0.0)
        yield seconds_of_bound


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
