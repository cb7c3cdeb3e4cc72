"""Eight processes that write all the time, through the product and past it: python -m benchmarks.write_contention

Each process takes one order of its own again and again through two of the product's transactions: it is claimed for
sending, and noted as to be sent later. The bound are eight processes that execute the very statements of these
transactions with sqlite3 alone (with psycopg on PostgreSQL), under the same settings of the database.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.databases import server
from benchmarks.history import ROOT
from benchmarks.installation import installation
from benchmarks.rows import Figure, Scale, run_alone, say

GOAL = 0.7
PROCESSES = 8
_START_SECONDS = 60.0
#: A statement with its values, and the statements of one transaction.
Statement = tuple[str, tuple[Any, ...]]
Group = list[Statement]


def measure(scale: Scale) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="contention-") as name, installation(Path(name), "http://127.0.0.1:9"):
        orders = _make_orders()
        say(f"{PROCESSES} processes write through the product for {scale.seconds:.0f} s")
        ours, our_errors, what = _write("product", orders, scale.seconds, Path(name))
        say(f"and past it: {ours / scale.seconds:.0f} transactions a second until now")
        raw, raw_errors, _ = _write("raw", orders, scale.seconds, Path(name))
    row = "write contention"
    tool = "psycopg" if server() else "sqlite3"
    return [
        Figure(
            row=row,
            what=f"transactions, {PROCESSES} processes for {scale.seconds:.0f} s",
            value=ours / scale.seconds,
            unit="transactions/s",
            goal=GOAL,
            bound=raw / scale.seconds,
            bound_what=f"the same statements by {tool} alone, with the same settings",
            is_least=True,
            note=f"{raw_errors} errors there",
        ),
        Figure(row=row, what="lock errors", value=our_errors, unit="errors", goal=0, note=what),
    ]


def _make_orders() -> list[int]:
    from django.utils import timezone

    from broker.accounts import default_account
    from orders.models import Batch, Order

    now, account = timezone.now(), default_account()
    batch = Batch.objects.create(
        account=account, name="bench.csv", source="csv", content_digest="0" * 64, created_by="bench",
        created_at=now, released_at=now, state=Batch.State.RELEASED,
    )  # fmt: skip
    made = [
        Order.objects.create(
            account=account, batch=batch, client_order_id=f"bench-{number}", symbol="KO", side="buy",
            order_type="market", time_in_force="day", qty=1, recorded_at=now, line_number=number + 1,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    return [order.pk for order in made]


def _write(way: str, orders: list[int], seconds: float, folder: Path) -> tuple[int, int, str]:
    """Return how many transactions were committed in that time, how many failed, and what the first one said."""
    go, quiet = folder / f"go-{way}", os.environ | {"LOG_LEVEL": "ERROR"}  # a line for each would be all that is seen
    command = [sys.executable, "-m", "benchmarks.write_contention", "--writer", way, str(seconds), str(go)]
    writers = [
        subprocess.Popen([*command, str(order)], cwd=ROOT, env=quiet, stdout=subprocess.PIPE, text=True)
        for order in orders
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None  # noqa: S101 - for the type checker
            if writer.stdout.readline() != "ready\n":
                sys.exit("a writer did not start")
        go.touch()
        answers = [json.loads(writer.communicate(timeout=seconds + _START_SECONDS)[0]) for writer in writers]
    finally:
        for writer in writers:
            if writer.poll() is None:
                writer.kill()
            writer.wait()
    told = [answer["error"] for answer in answers if answer["error"]]
    return sum(a["done"] for a in answers), sum(a["errors"] for a in answers), told[0] if told else ""


# --- One writer -------------------------------------------------------------------------------------------------


def _steps(order_id: int) -> list[Callable[[], object]]:
    """The two transactions that take an order there and back. Both at a time that suits them."""
    from datetime import timedelta

    from django.utils import timezone

    from orders.claiming import claim
    from orders.models import Order
    from orders.outcomes import Later, note

    now = timezone.now()
    later = now + timedelta(minutes=2)  # when it may be sent again
    held: list[Order] = []

    def take() -> None:
        order = claim(order_id=order_id, now=later)
        if order is None:
            raise SystemExit("the order could not be claimed")
        held[:] = [order]

    return [take, lambda: note(held[0], Later("bench", 1.0), now)]


def _captured(steps: list[Callable[[], object]]) -> list[Group]:
    """The statements of each step, as the database got them."""
    from django.db import connection

    groups: list[Group] = []

    def keep(execute: Callable[..., Any], sql: str, values: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if not sql.startswith("BEGIN"):
            groups[-1].append((sql, tuple(values or ())))
        return execute(sql, values, many, context)

    for step in steps:
        groups.append([])
        with connection.execute_wrapper(keep):
            step()
    return groups


def _raw_steps(groups: list[Group]) -> list[Callable[[], object]]:
    """The same statements without Django."""
    from django.conf import settings
    from django.db import connection

    if connection.vendor == "sqlite":
        opened: Any = sqlite3.connect(connection.settings_dict["NAME"], timeout=60, isolation_level=None)
        opened.executescript(str(settings.SQLITE_OPTIONS["init_command"]))
        begin, mark = "BEGIN IMMEDIATE", "?"
    else:
        import psycopg

        opened = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        begin, mark = "BEGIN", "%s"

    def run(group: Group) -> None:
        opened.execute(begin)
        for sql, values in group:
            cursor = opened.execute(sql, values)
            if cursor.description:
                cursor.fetchall()
        opened.execute("COMMIT")

    spelled = [[(sql.replace("%s", mark), values) for sql, values in group] for group in groups]
    return [lambda group=group: run(group) for group in spelled]  # type: ignore[misc]


def write(way: str, seconds: float, go: Path, order_id: int) -> None:
    import django

    django.setup()
    from django.db import OperationalError

    steps = _steps(order_id)
    groups = _captured(steps)  # imports and connects, too
    if way == "raw":
        steps = _raw_steps(groups)
    print("ready", flush=True)
    while not go.exists():
        time.sleep(0.001)
    done, errors, first, end = 0, 0, "", time.monotonic() + seconds
    while time.monotonic() < end:
        for step in steps:
            try:
                step()
                done += 1
            except (OperationalError, sqlite3.OperationalError) as error:
                errors, first = errors + 1, first or str(error)
    print(json.dumps({"done": done, "errors": errors, "error": first}))


def _be_writer() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--writer", choices=["product", "raw"], required=True)
    parser.add_argument("seconds", type=float)
    parser.add_argument("go", type=Path)
    parser.add_argument("order", type=int)
    options = parser.parse_args()
    write(options.writer, options.seconds, options.go, options.order)


if __name__ == "__main__":
    if "--writer" in sys.argv:
        _be_writer()
    else:
        run_alone(measure)
