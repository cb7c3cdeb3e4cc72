"""Measure a run with a short history and with a long one, in turn: python -m benchmarks.reconciling

Both accounts get the same ten new orders before each run, so that only the history differs. What disturbs one
disturbs the other; the medians are compared. `--new external` leaves the ten out of the books: the run finds drift.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

django.setup()
logging.disable(logging.INFO)

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.databases import begin  # noqa: E402
from benchmarks.history import Trader, history, venue  # noqa: E402
from benchmarks.rows import say  # noqa: E402
from benchmarks.sizes import LARGE, SMALL, ask  # noqa: E402
from broker.mapping import to_activity, to_order  # noqa: E402
from broker.models import Account  # noqa: E402
from broker.types import BrokerFill  # noqa: E402
from orders.booking import book_fill, import_order  # noqa: E402
from positions.rebuilding import rebuild_positions  # noqa: E402
from reconciliation.applying import apply_approved  # noqa: E402
from reconciliation.approving import approve_fixes  # noqa: E402
from reconciliation.models import Drift, Fix, Run  # noqa: E402
from reconciliation.running import run_reconciliation  # noqa: E402

LIMIT = 1.3
MOST_CALLS = 8
NEW = 10


@dataclass
class Side:
    """One of the two: its database, its account at the venue, and what its runs took."""

    alias: str
    trader: Trader
    seconds: list[float]
    queries: list[int]
    calls: list[int]
    states: set[str]

    def account(self) -> Account:
        ask(self.alias)
        settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY = self.alias, "sim"
        return Account.objects.get_or_create(slug="sim", defaults={"name": "Simulator", "environment": "sim"})[0]


def reconcile(account: Account) -> Run:
    return run_reconciliation(account=account, trigger=Run.Trigger.DEMAND, requested_by="benchmark")


def record(account: Account, trader: Trader, names: list[str]) -> None:
    """Take the orders into the books as the stream would have done."""
    now = timezone.now()
    for raw in trader.place(names):
        with transaction.atomic():
            order = import_order(account=account, facts=to_order(raw), origin="batch", now=now, actor="benchmark")
            for row in trader.fills(raw["id"]):
                fill = to_activity(row)
                if isinstance(fill, BrokerFill):
                    book_fill(order=order, fill=fill, now=now, actor="benchmark")
            rebuild_positions(account=account, symbols={order.symbol}, now=now)


def measure(side: Side, names: list[str], *, is_external: bool) -> None:
    account = side.account()
    if is_external:
        side.trader.place(names)
    else:
        record(account, side.trader, names)
    queries = _Counter()
    with connections[side.alias].execute_wrapper(queries):
        start = time.perf_counter()
        run = reconcile(account)
        side.seconds.append(time.perf_counter() - start)
    side.queries.append(queries.count)
    side.calls.append(run.api_calls)
    side.states.add(run.state)
    if run.state == Run.State.INCOMPLETE:
        sys.exit(run.incomplete_reason)
    if is_external:
        approve_fixes(fixes=Fix.objects.filter(account=account).proposed(), actor="benchmark", now=timezone.now())
        apply_approved(account=account, actor="benchmark")
        if Drift.objects.filter(account=account).open().exists():
            sys.exit("the new orders could not be taken into the books")


class _Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Callable[..., object], *arguments: object) -> object:
        self.count += 1
        return execute(*arguments)


def prepare(sides: list[Side]) -> None:
    for side in sides:
        ask(side.alias)
        _remove_old(side.alias)  # its orders are unknown to a venue that has just begun
        call_command("migrate", database=side.alias, verbosity=0)
        start = time.perf_counter()
        run = reconcile(side.account())
        say(f"first run {side.alias}: {run.state}, {run.api_calls} calls, {time.perf_counter() - start:.1f} s")
        if run.state != Run.State.IN_SYNC:
            sys.exit(run.incomplete_reason or "the imported history does not agree")


def _remove_old(alias: str) -> None:
    if connections[alias].vendor != "sqlite":
        return  # a new one, in a server that was made for this
    connections[alias].close()
    name = str(settings.DATABASES[alias]["NAME"])
    for suffix in ("", "-wal", "-shm"):
        Path(name + suffix).unlink(missing_ok=True)
    begin(Path(name))


def table(sides: list[Side]) -> bool:
    small, large = sides
    ratio = median(large.seconds) / median(small.seconds)
    print(f"{'':10} {'median':>9} {'queries':>8} {'calls':>6}  state")
    for side in sides:
        state = "/".join(sorted(side.states))
        figures = f"{median(side.seconds) * 1000:7.1f}ms {max(side.queries):8} {max(side.calls):6}"
        print(f"{side.alias:10} {figures}  {state}")
    is_good = ratio <= LIMIT and max(large.calls) <= MOST_CALLS
    print(f"ratio {ratio:.2f} (goal {LIMIT}), {max(large.calls)} calls (goal {MOST_CALLS})")
    return is_good


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a run with a short history and with a long one.")
    parser.add_argument("--times", type=int, default=15, help="How many runs of each.")
    parser.add_argument("--small", type=int, default=1_000, help="Orders of the short history.")
    parser.add_argument("--large", type=int, default=100_000, help="Orders of the long history.")
    parser.add_argument("--days", type=float, default=250, help="Over how many days both are spread.")
    parser.add_argument("--new", choices=["recorded", "external"], default="recorded", help="The ten new orders.")
    options = parser.parse_args()
    settings.QUIET_PERIOD_SECONDS = 0
    ending = datetime.now(UTC) - timedelta(minutes=10)
    sizes = {SMALL: options.small, LARGE: options.large}
    histories = {alias: history(count, days=options.days, ending=ending) for alias, count in sizes.items()}
    with tempfile.TemporaryDirectory() as folder, venue(Path(folder), histories) as url:
        settings.ALPACA_BASE_URL = url
        sides = [Side(alias, Trader(url, alias), [], [], [], set()) for alias in sizes]
        prepare(sides)
        for number in range(options.times + 1):
            for side in sides:
                measure(side, [f"new-{number}-{n}" for n in range(NEW)], is_external=options.new == "external")
                if number == 0:  # the first one fills caches
                    side.seconds.clear()
        sys.exit(0 if table(sides) else 1)


if __name__ == "__main__":
    main()
