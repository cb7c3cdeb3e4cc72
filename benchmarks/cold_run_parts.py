"""What the row "cold run" measures, each in a process of its own: python -m benchmarks.cold_run_parts PART FILE

`fetch` is the bound: alpaca-py fetches every page and parses it. `prepare` makes the tables, `idle` starts what a
worker has in memory before its first task, `first` makes the account's first reconciliation. Seconds and the
highest memory go to FILE as JSON.
"""

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

ORDERS_A_PAGE, ACTIVITIES_A_PAGE = 500, 100

Found = dict[str, Any]


def fetch() -> Found:
    """All orders and all activities as Python's own values, one page at a time; nothing of them is kept."""
    from alpaca.trading.client import TradingClient

    client = TradingClient(
        os.environ["ALPACA_API_KEY"], "sim", raw_data=True, url_override=os.environ["ALPACA_BASE_URL"]
    )
    start = time.perf_counter()
    orders = _walk(
        client,
        "/orders",
        {"status": "all", "direction": "asc", "limit": ORDERS_A_PAGE, "nested": False},
        after="after_order_id",
    )
    activities = _walk(
        client, "/account/activities", {"direction": "asc", "page_size": ACTIVITIES_A_PAGE}, after="page_token"
    )
    return {"seconds": time.perf_counter() - start, "orders": orders, "activities": activities}


def _walk(client: Any, path: str, parameters: dict[str, Any], *, after: str) -> int:
    rows = 0
    while page := client.get(path, parameters):
        rows += len(page)
        parameters = parameters | {after: page[-1]["id"]}
    return rows


def prepare() -> Found:
    _start_django()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return {}


def idle() -> Found:
    _be_a_worker()
    return {}


def first() -> Found:
    _be_a_worker()
    from django.conf import settings
    from django.db import connection

    from broker.accounts import default_account
    from orders.models import Fill, Order
    from reconciliation.models import Run
    from reconciliation.running import run_reconciliation

    account = default_account()
    _load_alpaca()
    settings.QUIET_PERIOD_SECONDS = 0
    start = time.perf_counter()
    run = run_reconciliation(account=account, trigger=Run.Trigger.DEMAND, requested_by="benchmark")
    seconds = time.perf_counter() - start
    if run.state != Run.State.IN_SYNC:
        sys.exit(run.incomplete_reason or "the imported history does not agree with the venue's")
    peak = highest_memory()  # before the counting below
    connection.close()
    counts = {"orders": Order.objects.count(), "activities": Fill.objects.count()}
    return {"seconds": seconds, "calls": run.api_calls, "peak_bytes": peak, **counts}


def _be_a_worker() -> None:
    """Everything that a process of the worker has imported before it is given a task."""
    _start_django()
    for name in ("django_q.cluster", "orders.tasks", "positions.tasks", "reconciliation.tasks", "tradingsite.worker"):
        import_module(name)
    from broker.accounts import default_account

    default_account()  # it has asked its database


def _load_alpaca() -> None:
    """Loaded by the first call of a process: part of its start, not of what grows with the history."""
    import_module("broker.alpaca_gateway")


def _start_django() -> None:
    import logging

    import django

    django.setup()
    logging.disable(logging.INFO)


def highest_memory() -> int:
    """Bytes that this process had in memory at its highest. Not by getrusage: that begins with its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


PARTS = {"fetch": fetch, "prepare": prepare, "idle": idle, "first": first}


def main() -> None:
    part, answer = sys.argv[1:]
    found = PARTS[part]()
    Path(answer).write_text(json.dumps({"peak_bytes": highest_memory(), "cpu": time.process_time(), **found}))


if __name__ == "__main__":
    main()
