"""A backfill can be reversed exactly, unless something was built on it."""

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from broker.mapping import to_activity
from broker.models import Account
from broker.types import BrokerFill
from orders.booking import book_fill
from orders.models import Fill, Order
from reconciliation.errors import FixRefused
from reconciliation.models import Fix, Run
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import backfill_all, books, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    return sim_account


def test_undoing_an_import_restores_the_books_and_the_next_run_proposes_it_again(
    account: Account, sim: SimAccount
) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    before = books()
    fix = backfill_all(account).fixes[0]
    assert books() != before
    undo_fix(fix=fix, actor="ops", now=timezone.now(), reason="wrong day")
    assert books() == before
    assert AuditEntry.objects.get(action="fix.undone").reason == "wrong day"
    assert reconcile(account).state == Run.State.DRIFT
    assert Fix.objects.proposed().get().key == fix.key
    assert backfill_all(account).all_verified


def test_undoing_an_update_puts_every_column_back(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, raw)
    before = books()
    sim.act("fill", order_id=raw["id"], price="1.00")
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    assert books() != before
    undo_fix(fix=fix, actor="ops", now=timezone.now())
    assert books() == before


def test_undoing_in_reverse_restores_the_beginning(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-0"))
    before = books()
    placed(sim, client_order_id="ts-1", symbol="NVDA")
    placed(sim, qty="3")
    placed(sim, client_order_id="ts-2", side="sell", qty="5")
    reconcile(account)
    fixes = backfill_all(account).fixes
    assert len(fixes) == 3
    for fix in reversed(fixes):
        undo_fix(fix=fix, actor="ops", now=timezone.now())
    assert books() == before


def test_fix_that_something_was_built_on_is_not_undone(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    sim.act("fill", order_id=raw["id"], qty="3", price="1.00")
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    sim.act("fill", order_id=raw["id"], qty="2", price="1.00")
    fills = sim.api("GET", "/v2/account/activities/FILL", params={"order_id": raw["id"], "direction": "desc"})
    later = to_activity(fills[0])
    assert isinstance(later, BrokerFill)
    book_fill(order=Order.objects.get(), fill=later, now=timezone.now(), actor="test")
    with pytest.raises(FixRefused, match="Later fills"):
        undo_fix(fix=fix, actor="ops", now=timezone.now())
    fix.refresh_from_db()
    assert fix.state == Fix.State.VERIFIED
    assert Fill.objects.count() == 2


def test_undoing_twice_is_refused(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    undo_fix(fix=fix, actor="ops", now=timezone.now())
    with pytest.raises(FixRefused, match="nothing of it to undo"):
        undo_fix(fix=fix, actor="ops", now=timezone.now())


def test_proposed_fix_has_nothing_to_undo(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    with pytest.raises(FixRefused):
        undo_fix(fix=Fix.objects.get(), actor="ops", now=timezone.now())
