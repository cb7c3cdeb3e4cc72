"""The first import of an account with a history: shown, stoppable, and gone on with."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from broker.alpaca_gateway import AlpacaGateway
from broker.models import Account
from orders.history import import_fills, import_orders
from orders.models import Fill, Order
from positions.models import Position
from positions.rebuilding import compute_positions, differences
from reconciliation import importing
from reconciliation.models import ReadingCursor, Run
from tests.factories import make_adjustment
from tests.reconciliation.steps import backfill_all, placed, reconcile
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


def test_account_in_use_is_imported(sim_account: Account, sim: SimAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaced, partly filled, bracketed and canceled orders; and one that is placed while the history is read."""
    sim.price("QCOM", "100")
    first = placed(sim, type="limit", limit_price="50", wait="new")
    sim.act("fill", order_id=first["id"], qty="3", price="50")
    newer = sim.api("PATCH", f"/v2/orders/{first['id']}", json={"limit_price": "51"})
    sim.wait_for_status(newer["client_order_id"], "new")
    placed(sim, order_class="bracket", take_profit={"limit_price": "120"}, stop_loss={"stop_price": "80"})
    gone = placed(sim, type="limit", limit_price="10", wait="new")
    sim.act("cancel", order_id=gone["id"])
    real = import_fills

    def import_while_somebody_trades(**page: Any) -> int:
        monkeypatch.setattr(importing, "import_fills", real)
        placed(sim, symbol="NVDA", client_order_id="ts-late")
        sim.act("cancel", order_id=newer["id"])
        return real(**page)

    monkeypatch.setattr(importing, "import_fills", import_while_somebody_trades)
    reconcile(sim_account)
    backfill_all(sim_account)
    assert reconcile(sim_account).state == Run.State.IN_SYNC
    ours = {row.symbol: row.qty for row in Position.objects.open()}
    assert ours == {row["symbol"]: Decimal(row["qty"]) for row in sim.api("GET", "/v2/positions")}
    assert {"replaced", "canceled", "filled", "held"} <= set(Order.objects.values_list("status", flat=True))


def test_entry_that_waits_is_imported_with_its_position(sim_account: Account, sim: SimAccount) -> None:
    """Soak, seed 5004: after a reset the orders of the new account had no rows among the positions."""
    sim.price("KO", "100")
    placed(sim, symbol="KO", type="limit", limit_price="80", wait="new")
    assert reconcile(sim_account).state == Run.State.IN_SYNC
    assert list(Position.objects.values_list("symbol", "state")) == [("KO", Position.State.PENDING)]
    computed = compute_positions(sim_account, now=timezone.now())
    assert not differences(Position.objects.filter(account=sim_account), computed)


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


@pytest.mark.parametrize("method", ["orders_since", "activities_since"])
def test_list_without_proof_of_its_end_is_not_the_whole_history(
    sim_account: Account, sim: SimAccount, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    placed(sim, client_order_id="ts-1")
    whole = getattr(AlpacaGateway, method)

    def cut_short(self: AlpacaGateway, *args: Any, **options: Any) -> Any:
        for page in whole(self, *args, **options):
            yield replace(page, is_last=False)

    with monkeypatch.context() as patched:
        patched.setattr(AlpacaGateway, method, cut_short)
        run = reconcile(sim_account)
    assert run.state == Run.State.INCOMPLETE
    assert "without proof" in run.incomplete_reason
    assert ReadingCursor.objects.get().import_finished_at is None
    assert reconcile(sim_account).state == Run.State.IN_SYNC
    assert Position.objects.get().qty == 10
