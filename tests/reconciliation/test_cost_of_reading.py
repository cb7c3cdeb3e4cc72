"""A run costs what changed, however long the history is: calls, questions to the database, rows and their plans."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import signals
from django.utils import timezone

from broker.models import Account
from orders.models import Fill, Order
from positions.cash import paid_by_fills
from positions.rebuilding import rebuild_positions
from reconciliation import reading_plan
from reconciliation.models import Run
from tests.reconciliation.steps import open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_shortest_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test takes seconds: what it did first is to be as old as yesterday's."""
    monkeypatch.setattr(reading_plan, "SHORTEST_OVERLAP", timedelta(0))


NEW = 10
HISTORY = 2_000
MOST_CALLS = 8
SYMBOLS = ("NVDA", "QCOM", "AAPL", "AMD", "BA")
#: The tables that grow with the history.
GROWING = ("orders_order", "orders_fill", "positions_position")


@dataclass
class Cost:
    """What was asked of the database, and how many rows became objects."""

    statements: list[tuple[str, Any]] = field(default_factory=list)
    rows: int = 0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements.append((sql, params))
        return execute(sql, params, many, context)

    def count(self, **_: Any) -> None:
        self.rows += 1


@contextmanager
def counted() -> Iterator[Cost]:
    cost = Cost()
    for model in (Order, Fill):
        signals.post_init.connect(cost.count, sender=model)
    try:
        with connection.execute_wrapper(cost):
            yield cost
    finally:
        for model in (Order, Fill):
            signals.post_init.disconnect(cost.count, sender=model)


def trade(account: Account, sim: SimAccount, name: str, count: int = NEW) -> None:
    for number in range(count):
        raw = placed(sim, client_order_id=f"{name}-{number}", symbol=SYMBOLS[number % len(SYMBOLS)], qty="1")
        record_as(account, sim, raw)


def add_history(account: Account, count: int, *, ended: timedelta = timedelta(days=3)) -> None:
    """Orders of long ago, bought and sold again, as an import would have written them."""
    last = timezone.now() - ended
    times = [last - timedelta(minutes=count - n) for n in range(count)]
    orders = [
        Order(
            account=account, origin="import", client_order_id=f"old-{n}", broker_order_id=f"old-{n}",
            symbol=SYMBOLS[n // 2 % len(SYMBOLS)], side="sell" if n % 2 else "buy", qty=Decimal(1),
            filled_qty=Decimal(1), filled_avg_price=Decimal(100), status="filled", submission_state="confirmed",
            is_booked=True, recorded_at=last, submitted_at=times[n],
            filled_at=times[n], broker_updated_at=last,
        )
        for n in range(count)
    ]  # fmt: skip
    Order.objects.bulk_create(orders)
    Fill.objects.bulk_create(
        Fill(
            account=account, order=order, activity_id=f"old-fill-{n}", symbol=order.symbol, side=order.side,
            qty=Decimal(1), price=Decimal(100), transaction_time=times[n], recorded_at=last,
        )
        for n, order in enumerate(orders)
    )  # fmt: skip
    rebuild_positions(account=account, symbols=set(SYMBOLS), now=timezone.now())
    paid_by_fills(account)  # added up once, when it was new


def run_with_ten_new(account: Account, sim: SimAccount, name: str) -> tuple[Run, Cost]:
    trade(account, sim, name)
    with counted() as cost:
        run = reconcile(account)
    assert run.state == Run.State.IN_SYNC, run.incomplete_reason
    return run, cost


def test_a_long_history_costs_no_call_no_question_and_no_row_more(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    trade(sim_account, sim, "first", 40)
    reconcile(sim_account)
    small, before = run_with_ten_new(sim_account, sim, "second")
    add_history(sim_account, HISTORY)
    large, after = run_with_ten_new(sim_account, sim, "third")
    assert small.api_calls <= MOST_CALLS
    assert large.api_calls <= small.api_calls
    assert len(after.statements) <= len(before.statements)
    # On a slow machine a window may begin a little earlier; the history would be ten times as much.
    assert after.rows < before.rows + HISTORY // 20
    assert after.rows < 4 * (NEW + 40)


def test_a_busy_day_is_not_read_again_and_again(sim_account: Account, sim: SimAccount) -> None:
    """The overlap in time would hold all of it; the newest rows are enough."""
    open_books(sim_account)
    trade(sim_account, sim, "first", 40)
    reconcile(sim_account)
    _, before = run_with_ten_new(sim_account, sim, "second")
    add_history(sim_account, HISTORY // 4, ended=timedelta(minutes=20))
    run, after = run_with_ten_new(sim_account, sim, "third")
    assert run.api_calls <= MOST_CALLS
    # On a slow machine a window may begin a little earlier; the history would be ten times as much.
    assert after.rows < before.rows + HISTORY // 20


def test_open_orders_and_an_empty_account_keep_within_the_calls(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    assert reconcile(sim_account).api_calls <= MOST_CALLS
    for number in range(3):
        raw = placed(sim, client_order_id=f"open-{number}", type="limit", limit_price="1.00", wait="new")
        record_as(sim_account, sim, raw)
    run = reconcile(sim_account)
    assert run.state == Run.State.IN_SYNC
    assert run.api_calls <= MOST_CALLS


@pytest.mark.usefixtures("sqlite_only")
def test_every_question_of_a_run_goes_by_an_index(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    trade(sim_account, sim, "first", 40)
    add_history(sim_account, HISTORY)
    reconcile(sim_account)
    _, cost = run_with_ten_new(sim_account, sim, "second")
    scans = [scan for sql, params in cost.statements for scan in full_scans(sql, params)]
    assert scans == [], "\n".join(scans)


def full_scans(sql: str, params: Any) -> list[str]:
    """Steps of SQLite's plan that read all rows of a table that grows."""
    if not sql.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
        return []
    if not any(f'"{name}"' in sql for name in GROWING):
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        steps = [row[3] for row in cursor.fetchall()]
    aliases = [*GROWING, *re.findall(r'"orders_(?:order|fill)" (U\d|T\d)', sql)]
    # Of an account, of all its closed positions, or of the state that nearly all orders are in: as good as all of them.
    usual = "|".join(["submission_state=\\?"] * ("confirmed" in params) + ["state=\\?"] * ("closed" in params))
    is_broad = rf"\(account_id=\?( AND ({usual}))?\)$" if usual else r"\(account_id=\?\)$"
    broad = [step for step in steps if re.search(is_broad, step)]
    scans = [step for step in steps if step.startswith("SCAN") and step.split()[1] in aliases]
    return [f"{step}: {sql[-500:]}" for step in [*scans, *broad] if any(name in step for name in aliases)]
