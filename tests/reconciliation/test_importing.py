"""The first import of an account with a history: shown, stoppable, and gone on with."""

from decimal import Decimal

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from orders.booking import import_orders
from orders.models import Fill, Order
from positions.models import Position
from reconciliation import importing
from reconciliation.models import ReadingCursor, Run
from tests.factories import make_adjustment
from tests.reconciliation.steps import reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db

ORDERS = 1230


@pytest.fixture
def history(sim: SimAccount) -> dict[str, Decimal]:
    """A long history at the simulator; returns the positions it leads to."""
    orders, held = [], {"QCOM": Decimal(0), "NVDA": Decimal(0)}
    for number in range(ORDERS):
        symbol, side = ("QCOM", "NVDA")[number % 2], "sell" if number % 5 == 4 else "buy"
        at = f"2025-0{1 + number // 400}-{1 + number % 28:02d}T15:{number % 60:02d}:00.{number:06d}Z"
        orders.append(
            {
                "client_order_id": f"old-{number}",
                "symbol": symbol,
                "side": side,
                "qty": "2",
                "type": "market",
                "status": "filled",
                "filled_avg_price": "100.25",
                "submitted_at": at,
                "filled_at": at,
            }
        )
        held[symbol] += 2 if side == "buy" else -2
    account = {"cash": "9000000", "created_at": "2024-12-01T00:00:00Z", "orders": orders}
    sim.simulator.admin("state", {"accounts": {sim.key_id: account}})
    return held


def assert_whole(account: Account, history: dict[str, Decimal]) -> None:
    assert Order.objects.filter(account=account).count() == ORDERS
    assert Fill.objects.filter(account=account).count() == ORDERS
    assert {row.symbol: row.qty for row in Position.objects.open()} == history
    assert AuditEntry.objects.filter(action="account.imported").count() == 1


def test_history_is_imported_and_in_sync(sim_account: Account, history: dict[str, Decimal]) -> None:
    run = reconcile(sim_account)
    assert run.state == Run.State.IN_SYNC, run.incomplete_reason
    assert_whole(sim_account, history)
    # The next run reads the window only: its calls do not grow with the history.
    assert reconcile(sim_account).api_calls < 15


def test_stopped_import_goes_on_where_it_was(
    sim_account: Account, sim: SimAccount, history: dict[str, Decimal], monkeypatch: pytest.MonkeyPatch
) -> None:
    booked: list[object] = []

    class Stopped(BaseException):
        """As Ctrl-C or a killed worker: nothing catches it."""

    def book_once_more(**page: object) -> int:
        if len(booked) == 2:
            raise Stopped
        booked.append(page)
        return real(**page)  # type: ignore[arg-type]

    real = import_orders
    monkeypatch.setattr(importing, "import_orders", book_once_more)
    with pytest.raises(Stopped):
        reconcile(sim_account)
    cursor = ReadingCursor.objects.get()
    assert (cursor.import_stage, cursor.import_rows) == ("orders", 1000)
    monkeypatch.setattr(importing, "import_orders", real)
    sim.simulator.admin("requests", method="DELETE")

    assert reconcile(sim_account).state == Run.State.IN_SYNC
    assert_whole(sim_account, history)
    # Its first question is for what comes after the last order that was booked.
    assert "after_order_id" in str(sim.requests("GET", "/v2/orders")[0]["query"])


def test_broker_that_fails_in_the_middle_leaves_a_place_to_go_on_from(
    sim_account: Account, sim: SimAccount, history: dict[str, Decimal]
) -> None:
    sim.fault("status", "GET", "/v2/account/activities", times=None, after=3, status=500)
    assert reconcile(sim_account).state == Run.State.INCOMPLETE
    cursor = ReadingCursor.objects.get()
    assert cursor.import_stage == "activities"
    assert cursor.import_rows > 0
    sim.clear_faults()
    assert reconcile(sim_account).state == Run.State.IN_SYNC
    assert_whole(sim_account, history)


def test_books_that_hold_something_are_compared_not_imported(sim_account: Account, history: dict[str, Decimal]) -> None:
    make_adjustment(sim_account, symbol="ACGL", effective_at=timezone.now())
    assert reconcile(sim_account).state == Run.State.DRIFT
    assert not Order.objects.exists()
