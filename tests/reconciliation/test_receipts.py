"""The receipt says which rows were written and what undoing does to each; nothing is promised that is refused."""

from types import SimpleNamespace

import pytest
from django.test import Client
from django.utils import timezone

from broker.models import Account
from orders.models import Order
from reconciliation.models import Fix
from reconciliation.receipts import why_not_undone, written_by
from reconciliation.undoing import undo_fix
from tests.reconciliation.rows import page
from tests.reconciliation.steps import backfill_all, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    return sim_account


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


def acts(fix: Fix) -> list[tuple[str, str]]:
    return [(row.row.split()[0], row.act) for row in written_by(fix)]


def test_a_recorded_order_with_its_fill_and_position(ops: Client, account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    assert acts(fix) == [("Order", "added"), ("Fill", "added"), ("Position", "folded anew")]
    text = page(ops, fix.get_absolute_url())
    order = Order.objects.get()
    for words in (f'href="/orders/{order.pk}/"', "10 filled at", f"Order {order.pk} is deleted.", "Approved by ops"):
        assert words in text
    undo_fix(fix=fix, actor="ops", now=timezone.now())
    text = page(ops, fix.get_absolute_url())
    assert "What was written, and then taken back" in text
    assert f'href="/orders/{order.pk}/"' not in text
    assert "Undo</button>" not in text


def test_an_updated_order_column_by_column(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, raw)
    sim.act("fill", order_id=raw["id"], price="1.00")
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    changed = next(row for row in written_by(fix) if row.act == "changed")
    assert "status new → filled" in changed.what
    assert "filled qty 0 → 10" in changed.what
    assert "raw" not in changed.what


def test_it_says_beforehand_that_it_cannot_be_undone(ops: Client, account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    fix = backfill_all(account).fixes[0]
    assert why_not_undone(fix, timezone.now()) == ""
    Order.objects.update(status="canceled")
    text = page(ops, fix.get_absolute_url())
    assert "It cannot be undone now." in text
    assert "changed after this fix (status)" in text
    assert "Undo</button>" not in text
