"""Fills that Alpaca gives no longer: a correction stands in for them, and they count once if they come after all."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.utils import timezone

from broker.models import Account
from orders.models import Fill, Order
from positions.cash import cash_books, forget_subtotal
from positions.models import Adjustment, Position
from positions.rebuilding import rebuild_positions
from reconciliation.models import Fix, Run
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import backfill_all, books, kinds, open_books, placed, reconcile, record_as
from tests.reconciliation.test_corrections import hide_history, repair
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db
Lose = Callable[[Account, SimAccount], None]


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    sim.price("QCOM", "100")
    return sim_account


def bought_before_the_cash_ledger(account: Account, sim: SimAccount) -> None:
    """The opening balance of the cash holds that they were paid for; then our books and Alpaca's lists lose them."""
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    assert reconcile(account).state == Run.State.IN_SYNC
    Fill.objects.all().delete()
    Order.objects.all().delete()
    forget_subtotal(account)
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    hide_history(sim)


def bought_after_it(account: Account, sim: SimAccount) -> None:
    assert reconcile(account).state == Run.State.IN_SYNC
    placed(sim, client_order_id="ts-1")
    hide_history(sim)


@pytest.mark.parametrize("lose", [bought_before_the_cash_ledger, bought_after_it])
def test_what_comes_to_light_after_all_is_counted_once(account: Account, sim: SimAccount, lose: Lose) -> None:
    lose(account, sim)
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"position_broker_only": []}
    (guess,) = repair(account)
    assert Adjustment.objects.get().kind == Adjustment.Kind.CORRECTION
    assert expected_cash(account) == 99000
    guessed = books()

    sim.clear_faults()
    reconcile(account)
    (truth,) = backfill_all(account).fixes
    assert truth.state == Fix.State.VERIFIED, truth.outcome
    assert reconcile(account).state == Run.State.IN_SYNC, kinds(account)
    assert not Adjustment.objects.exists()
    assert Position.objects.get().qty == 10
    assert expected_cash(account) == 99000
    undo_fix(fix=truth, actor="ops", now=timezone.now())
    assert books() == guessed
    undo_fix(fix=Fix.objects.get(pk=guess.pk), actor="ops", now=timezone.now())
    assert not Position.objects.exists()


@pytest.mark.parametrize("lose", [bought_before_the_cash_ledger, bought_after_it])
def test_an_opening_balance_in_its_place_would_not_be_paid_for(account: Account, sim: SimAccount, lose: Lose) -> None:
    """Why none is proposed: somebody would explain the money by itself, and the true fill would pay it again."""
    lose(account, sim)
    reconcile(account)
    repair(account)
    Adjustment.objects.update(kind=Adjustment.Kind.OPENING)
    reconcile(account)
    assert kinds(account) == {"cash": []}


def expected_cash(account: Account) -> Decimal:
    found = cash_books(account)
    assert found is not None
    return found.expected
