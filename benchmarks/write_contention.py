"""Eight processes that write all the time, through the product and past it: python -m benchmarks.write_contention

Each process takes one order of its own again and again through two of the product's transactions: it is claimed for
sending, and noted as to be sent later. The bound are the same eight processes that execute the very statements of these
transactions with sqlite3 alone (with psycopg on PostgreSQL), under the same settings of the database.
"""

import multiprocessing
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks.databases import server
from benchmarks.installation import installation
from benchmarks.rows import Figure, Scale, run_alone, say

GOAL = 0.7
PROCESSES = 8
_WAIT_SECONDS = 60.0
#: A statement with its values, and the statements of one transaction.
Statement = tuple[str, tuple[Any, ...]]
Group = list[Statement]
#: Where the writers wait for each other; each is forked with it.
_together: list[Barrier] = []


@dataclass(frozen=True)
class Written:
    """What one writer did one way: transactions committed, those that failed, and what the first of them said."""

    done: int
    errors: int
    error: str


def measure(scale: Scale) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(prefix="contention-") as name,
        # A line in the log for each transaction would be all that is seen.
        installation(Path(name), "http://127.0.0.1:9", LOG_LEVEL="ERROR"),
    ):
        orders = _make_orders()
        say(f"{PROCESSES} processes write through the product, and then past it, for {scale.seconds:.0f} s each")
        through, past = _write(orders, scale.seconds)
    ours, raw = (sum(one.done for one in way) / scale.seconds for way in (through, past))
    row = "write contention"
    tool = "psycopg" if server() else "sqlite3"
    return [
        Figure(
            row=row,
            what=f"transactions, {PROCESSES} processes for {scale.seconds:.0f} s",
            value=ours,
            unit="transactions/s",
            goal=GOAL,
            bound=raw,
            bound_what=f"the same statements by {tool} alone, with the same settings",
            is_least=True,
            note=f"{sum(one.errors for one in past)} errors there",
        ),
        Figure(
            row=row,
            what="lock errors",
            value=sum(one.errors for one in through),
            unit="errors",
            goal=0,
            note=next((one.error for one in through if one.error), ""),
        ),
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


def _write(orders: list[int], seconds: float) -> tuple[list[Written], list[Written]]:
    """Return what each did through the product, and past it."""
    from django.db import connections

    connections.close_all()  # no connection may be shared with a fork
    forking = multiprocessing.get_context("fork")
    _together[:] = [forking.Barrier(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=forking) as pool:
        through, past = zip(*pool.map(_write_both_ways, orders, repeat(seconds)), strict=True)
    return list(through), list(past)


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
    connection.ensure_connection()  # It adds the product's own wrapper; the last one is what is taken off below.

    def keep(execute: Callable[..., Any], sql: str, values: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if not sql.startswith("BEGIN"):
            groups[-1].append((sql, tuple(values or ())))
        return execute(sql, values, many, context)

    for step in steps:
        groups.append([])
        with connection.execute_wrapper(keep):
            step()
    return groups


def _raw_steps(groups: list[Group], next_groups: list[Group]) -> list[Callable[[], object]]:
    """The same statements without Django, each of which must find its row as the product's does.

    A number that was one more in the next round (the order's attempt) is one more in each round.
    """
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

    def run(group: list[tuple[str, list[Any], list[int]]]) -> None:
        opened.execute(begin)
        for sql, values, counted in group:
            for place in counted:
                values[place] += 1
            cursor = opened.execute(sql, values)
            if not (cursor.fetchall() if cursor.description else cursor.rowcount):
                raise SystemExit(f"this did nothing in the bound: {sql} {values}")
        opened.execute("COMMIT")

    spelled = [
        [
            (sql.replace("%s", mark), list(values), _counted(before, values))
            for (_, before), (sql, values) in zip(group, next_group, strict=True)
        ]
        for group, next_group in zip(groups, next_groups, strict=True)
    ]
    return [lambda group=group: run(group) for group in spelled]  # type: ignore[misc]


def _counted(before: tuple[Any, ...], values: tuple[Any, ...]) -> list[int]:
    pairs = enumerate(zip(before, values, strict=True))
    return [place for place, (old, new) in pairs if isinstance(new, int) and new == old + 1]


def _write_both_ways(order_id: int, seconds: float) -> tuple[Written, Written]:
    steps = _steps(order_id)
    _captured(steps)  # imports and compiles
    through = _write_for(seconds, steps)
    return through, _write_for(seconds, _raw_steps(_captured(steps), _captured(steps)))


def _write_for(seconds: float, steps: list[Callable[[], object]]) -> Written:
    from django.db import OperationalError

    _together[0].wait(_WAIT_SECONDS)
    done, errors, first, end = 0, 0, "", time.monotonic() + seconds
    while time.monotonic() < end:
        for step in steps:
            try:
                step()
                done += 1
            except (OperationalError, sqlite3.OperationalError) as error:
                errors, first = errors + 1, first or str(error)
    _together[0].wait(_WAIT_SECONDS)  # none goes on to the other way while some write this way
    return Written(done, errors, first)


if __name__ == "__main__":
    run_alone(measure)
