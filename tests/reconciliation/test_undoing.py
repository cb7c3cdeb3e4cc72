"""A backfill can be reversed exactly, unless something was built on it."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from audit.models import AuditEntry
from broker.mapping import to_activity
from broker.models import Account
from broker.types import BrokerFill
from orders.booking import book_fill
from orders.models import Fill, Order
from positions.models import Position
from reconciliation import running
from reconciliation.errors import FixRefused
from reconciliation.models import Fix, Run
from reconciliation.recorded import load_record
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


def test_undoing_an_entry_that_waited_leaves_no_trace(account: Account, sim: SimAccount) -> None:
    before = books()
    placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    assert Position.objects.get().state == "pending"
    undo_fix(fix=fix, actor="ops", now=timezone.now())
    assert books() == before


def test_undoing_the_end_of_an_entry_lets_it_wait_again(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, raw)
    before = books()
    sim.act("cancel", order_id=raw["id"])
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    assert Position.objects.get().state == "closed"
    undo_fix(fix=fix, actor="ops", now=timezone.now())
    assert books() == before


def test_undoing_is_in_reverse_or_refused(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    reconcile(account)
    first = backfill_all(account).fixes[0]
    sim.act("cancel", order_id=raw["id"])
    reconcile(account)
    second = backfill_all(account).fixes[0]
    with pytest.raises(FixRefused, match="changed after this fix"):
        undo_fix(fix=first, actor="ops", now=timezone.now())
    undo_fix(fix=second, actor="ops", now=timezone.now())
    undo_fix(fix=first, actor="ops", now=timezone.now())
    assert not Order.objects.exists()


def test_order_that_was_only_asked_about_since_can_be_put_back(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, raw)
    sim.act("fill", order_id=raw["id"], qty="3", price="1.00")
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    Order.objects.update(followed_at=timezone.now())
    assert undo_fix(fix=fix, actor="ops", now=timezone.now()).state == Fix.State.UNDONE


def test_run_that_was_reading_meanwhile_does_not_overlook_what_was_undone(
    account: Account, sim: SimAccount, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CURSOR_OVERLAP_HOURS = 0
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    sim.act("cancel", order_id=raw["id"])
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    reconcile(account)
    real = load_record

    def load_and_then_somebody_undoes(**options: Any) -> Any:
        record = real(**options)
        monkeypatch.setattr(running, "load_record", real)
        undo_fix(fix=fix, actor="ops", now=timezone.now())
        return record

    monkeypatch.setattr(running, "load_record", load_and_then_somebody_undoes)
    reconcile(account)
    assert reconcile(account).state == Run.State.DRIFT


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


def test_a_position_follows_again_what_it_followed_before_a_bracket_s_fill(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1", qty="7"))
    exits = {"take_profit": {"limit_price": "900"}, "stop_loss": {"stop_price": "0.50"}}
    bracket = {"type": "limit", "limit_price": "1.00", "order_class": "bracket", **exits}
    raw = placed(sim, client_order_id="ts-2", wait="new", **bracket)
    order = record_as(account, sim, raw)
    Order.objects.filter(pk=order.pk).update(stop_loss_stop_price="0.50", take_profit_limit_price="900")
    before = books()
    sim.act("fill", order_id=raw["id"], price="1.00")
    reconcile(account)
    fixes = backfill_all(account).fixes
    assert Position.objects.open().get().parameters_from == f"the bracket of order {order.pk}"
    for fix in reversed(fixes):
        undo_fix(fix=fix, actor="ops", now=timezone.now())
    assert books() == before
