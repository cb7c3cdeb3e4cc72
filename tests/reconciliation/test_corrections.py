"""Positions that fills do not explain: split, bust, a guess whose truth comes later. A person decides, and can undo."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account
from orders.models import Fill, Order
from positions.models import Adjustment, Position
from positions.rebuilding import rebuild_positions
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.errors import FixRefused
from reconciliation.models import Fix, Run
from reconciliation.running import make_run
from reconciliation.undoing import undo_fix
from tests.factories import make_adjustment
from tests.reconciliation.steps import backfill_all, books, kinds, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    sim.price("QCOM", "100")
    return sim_account


def repair(account: Account) -> list[Fix]:
    """Approve what is proposed until nothing is."""
    applied: list[Fix] = []
    for _ in range(3):
        fixes = backfill_all(account).fixes
        assert all(fix.state == Fix.State.VERIFIED for fix in fixes), [(fix.title, fix.outcome) for fix in fixes]
        applied += fixes
    assert reconcile(account).state == Run.State.IN_SYNC
    return applied


def hide_history(sim: SimAccount) -> None:
    """Alpaca shows a position and neither its order nor its fill."""
    sim.fault("empty_list", "GET", "/v2/account/activities", times=None)
    sim.fault("empty_list", "GET", "/v2/orders", times=None)


def test_split_is_never_a_safe_copy(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    sim.act("split", symbol="QCOM", ratio="10")
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"split": ["position_qty"]}
    assert not Fix.objects.get().is_safe_copy
    repair(account)
    position = Position.objects.get()
    assert (position.qty, position.avg_entry_price, position.realized_pl) == (100, 10, 0)


@pytest.mark.parametrize("remove", [True, False])
def test_bust_is_taken_out(account: Account, sim: SimAccount, remove: bool) -> None:
    raw = placed(sim, client_order_id="ts-1")
    record_as(account, sim, raw)
    before = books()
    sim.act("bust", order_id=raw["id"], remove=remove)
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"fill_busted": ["filled_qty_ahead", "position_database_only"]}
    assert not Fix.objects.filter(is_safe_copy=True).exists()
    applied = repair(account)
    assert not Fill.objects.exists()
    assert Order.objects.get().filled_qty == 0
    for fix in reversed(applied):
        undo_fix(fix=fix, actor="ops", now=timezone.now())
    assert books() == before


def test_fill_with_other_values_is_taken_over(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    right = Fill.objects.values("activity_id", "qty", "price").get()
    Fill.objects.update(qty=Decimal(4), price=Decimal(1))
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"fill_values_differ": ["position_qty"]}
    repair(account)
    assert Fill.objects.values("activity_id", "qty", "price").get() == right


def test_phantom_is_seen_by_a_full_read_too(account: Account, sim: SimAccount) -> None:
    order = record_as(account, sim, placed(sim, client_order_id="ts-1"))
    fill = Fill.objects.get()
    fill.pk, fill.activity_id = None, "invented"
    fill.save(force_insert=True)
    rebuild_positions(account=account, symbols={order.symbol}, now=timezone.now())
    for is_full in (False, True):
        reconcile(account, is_full=is_full)
        assert kinds(account) == {"phantom_fill": ["position_qty"]}


def test_guess_makes_way_for_the_true_fill(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    hide_history(sim)
    assert reconcile(account).state == Run.State.DRIFT
    (guess,) = repair(account)
    sim.clear_faults()
    guessed = books()
    assert reconcile(account).state == Run.State.DRIFT
    fix = Fix.objects.proposed().get()
    assert (fix.action, fix.is_safe_copy, fix.after["position"]["qty"]) == ("import_order", False, "10")
    (fix,) = repair(account)
    assert not Adjustment.objects.exists()
    assert not Position.objects.get().is_estimated

    with pytest.raises(FixRefused, match="took back"):
        undo_fix(fix=guess, actor="ops", now=timezone.now())
    undo_fix(fix=fix, actor="ops", now=timezone.now())
    assert books() == guessed


def test_guess_is_taken_back_when_the_true_fill_was_booked(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    hide_history(sim)
    reconcile(account)
    repair(account)
    sim.clear_faults()
    record_as(account, sim, sim.order("ts-1"))
    assert Position.objects.get().qty == 20
    reconcile(account)
    assert Fix.objects.proposed().get().action == "take_back"
    repair(account)
    assert not Adjustment.objects.exists()


def test_true_exit_older_than_the_guess_opens_no_short(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    assert reconcile(account).state == Run.State.IN_SYNC
    sim.price("QCOM", "120")
    placed(sim, client_order_id="ts-2", side="sell")
    sold = sim.order("ts-2")
    make_adjustment(account, kind="correction", qty="-10", price="100", reference="fix:99:1", is_estimated=True,
                    effective_at=timezone.now())  # fmt: skip
    record_as(account, sim, sold)
    assert Position.objects.open().get().qty == -10
    reconcile(account)
    repair(account)
    assert (Position.objects.get().state, Position.objects.get().realized_pl) == ("closed", 200)


def test_side_is_changed_without_a_made_up_profit(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    make_adjustment(account, qty="-25", price="90", kind="correction", effective_at=timezone.now())
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    booked = sum(row.realized_pl for row in Position.objects.all())
    reconcile(account)
    assert [entry["qty"] for entry in Fix.objects.get().plan] == ["15", "10"]
    repair(account)
    assert sum(row.realized_pl for row in Position.objects.all()) == booked


def test_the_same_correction_may_be_needed_again(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    for _ in range(2):
        make_adjustment(account, qty="5", price="100", kind="correction")
        rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
        reconcile(account)
        repair(account)
    assert Position.objects.get().qty == 10


def test_ledger_that_moves_at_the_last_moment_voids_the_correction(
    account: Account, sim: SimAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever follows orders books the true fill between the fresh run and the writing."""
    placed(sim, client_order_id="ts-1")
    hide_history(sim)
    reconcile(account)
    approve_fixes(fixes=Fix.objects.all(), actor="ops", now=timezone.now())

    def and_then_the_fill_is_booked(**options: Any) -> Run:
        run = real(**options)
        sim.clear_faults()
        if not Fill.objects.exists():
            record_as(account, sim, sim.order("ts-1"))
        return run

    real = make_run
    monkeypatch.setattr("reconciliation.applying.make_run", and_then_the_fill_is_booked)
    (fix,) = apply_approved(account=account, actor="ops").fixes
    assert (fix.state, "moved after it was read" in fix.outcome) == (Fix.State.STALE, True)
    assert Position.objects.get().qty == 10
    assert reconcile(account).state == Run.State.IN_SYNC
