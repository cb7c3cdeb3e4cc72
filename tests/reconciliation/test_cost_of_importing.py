"""The first import: what a row costs does not grow with the history, and neither does the memory. Counts, no clocks."""

import tracemalloc
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from broker.models import Account
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.models import Run
from tests.reconciliation.steps import reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db

FEW, MANY = 1_000, 4_000
SYMBOLS = ("QCOM", "NVDA", "AAPL", "AMD")
#: Statements of a run beside what it imports, and for each 500 orders with their fills.
FIXED, EACH_PAGE = 200, 30
#: Rows that are written between two looks of others at the write lock.
MOST_ROWS = 1_000


@dataclass
class Cost:
    statements: int = 0
    most_rows: int = 0
    peak: int = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements += 1
        if many:
            self.most_rows = max(self.most_rows, len(params) * rows_in(sql))
        return execute(sql, params, many, context)


def rows_in(sql: str) -> int:
    """A statement may have the values of many rows."""
    _, _, values = sql.partition("VALUES ")
    return values.count("(")


def give_history(sim: SimAccount, count: int) -> None:
    """Bought and sold again, so that positions grow as orders do."""
    orders = []
    for number in range(count):
        at = f"2025-{1 + number // 400:02d}-{1 + number % 400 // 20:02d}T15:{number % 20:02d}:00.{number:06d}Z"
        orders.append(
            {
                "client_order_id": f"old-{number}", "symbol": SYMBOLS[number // 2 % 4], "qty": "2", "type": "market",
                "side": "sell" if number % 2 else "buy", "status": "filled", "filled_avg_price": "100.25",
                "submitted_at": at, "filled_at": at,
            }
        )  # fmt: skip
    account = {"cash": "9000000", "created_at": "2024-12-01T00:00:00Z", "orders": orders}
    sim.simulator.admin("state", {"accounts": {sim.key_id: account}})


def first_run(sim: SimAccount, settings: LazySettings, count: int) -> Cost:
    """The first run of a new account of that history."""
    Account.objects.filter(slug="sim").update(slug=f"before-{count}")
    account = Account.objects.create(slug="sim", name="Simulator", environment="sim")
    settings.ALPACA_API_KEY = f"{sim.key_id}-{count}"
    give_history(SimAccount(sim.simulator, settings.ALPACA_API_KEY), count)
    cost = Cost()
    tracemalloc.start()
    try:
        with connection.execute_wrapper(cost):
            run = reconcile(account)
        cost.peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert run.state == Run.State.IN_SYNC, run.incomplete_reason
    assert Order.objects.filter(account=account).count() == Fill.objects.filter(account=account).count() == count
    assert Position.objects.filter(account=account).count() == count // 2
    return cost


@pytest.mark.usefixtures("sim_account")
def test_a_longer_history_costs_statements_by_the_page_and_no_memory(sim: SimAccount, settings: LazySettings) -> None:
    first_run(sim, settings, 20)  # what a process loads and keeps from its first run on
    few, many = first_run(sim, settings, FEW), first_run(sim, settings, MANY)
    assert many.statements - few.statements <= EACH_PAGE * (MANY - FEW) // 500
    assert few.statements <= FIXED + EACH_PAGE * FEW // 500
    assert many.most_rows <= MOST_ROWS
    assert many.peak < few.peak * 1.2
