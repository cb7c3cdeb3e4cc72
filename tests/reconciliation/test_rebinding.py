"""Another account answers: the old books are archived whole, and new ones begin by a person's typed word."""

from types import SimpleNamespace

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.errors import ReconciliationError
from reconciliation.models import Drift, Run
from reconciliation.rebinding import rebind_account
from tests.reconciliation.rows import page
from tests.reconciliation.steps import kinds, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def drift(sim_account: Account, sim: SimAccount) -> Drift:
    """Books with a position, of an account that was reset since."""
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1"))
    assert reconcile(sim_account).state == Run.State.IN_SYNC
    Account.objects.update(bound_at=timezone.now(), guard_share_pct=40)
    sim.act("reset_account", key_id=sim.key_id)
    assert reconcile(sim_account).state == Run.State.INCOMPLETE
    return Drift.objects.open().get()


def rebind(drift: Drift, number: str | None = None, reason: str = "the paper account was reset") -> Account:
    number = drift.broker["account_number"] if number is None else number
    return rebind_account(drift=drift, typed_number=number, actor="ops", reason=reason, now=timezone.now())


def test_old_books_are_kept_and_new_ones_are_empty_and_in_sync(drift: Drift, sim: SimAccount) -> None:
    old_number = drift.account.broker_account_number
    rows = [list(model.objects.order_by("pk").values()) for model in (Order, Fill, Position)]
    new = rebind(drift)
    old = Account.objects.get(pk=drift.account_id)
    assert [list(model.objects.order_by("pk").values()) for model in (Order, Fill, Position)] == rows
    assert (new.slug, new.is_active, new.sending_halted, new.guard_share_pct) == ("sim", True, True, 40)
    assert new.broker_account_number == sim.api("GET", "/v2/account")["account_number"] != old_number
    assert old.slug.startswith("sim-archived-")
    assert (old.is_active, old.broker_account_number) == (False, old_number)
    assert "the paper account was reset" in old.notice
    assert not Order.objects.filter(account=new).exists()
    assert reconcile(new).state == Run.State.IN_SYNC
    assert kinds(new) == {}
    assert kinds(old) == {}
    actions = AuditEntry.objects.filter(actor="ops").values_list("action", "reason")
    assert set(actions) == {
        ("account.archived", "the paper account was reset"),
        ("account.bound", "the paper account was reset"),
    }


def test_new_books_import_what_the_account_holds(drift: Drift, sim: SimAccount) -> None:
    placed(sim, symbol="NVDA")
    new = rebind(drift)
    assert reconcile(new).state == Run.State.IN_SYNC
    assert list(Position.objects.filter(account=new).open().values_list("symbol", flat=True)) == ["NVDA"]


@pytest.mark.parametrize(("number", "reason"), [("", "right"), ("PA000", "right"), (None, " ")])
def test_number_and_reason_must_be_given(drift: Drift, number: str | None, reason: str) -> None:
    with pytest.raises(ReconciliationError):
        rebind(drift, number, reason)
    assert Account.objects.count() == 1
    assert Account.objects.get().is_active


def test_twice_is_once(drift: Drift) -> None:
    rebind(drift)
    with pytest.raises(ReconciliationError, match="settled already"):
        rebind(drift)
    assert Account.objects.count() == 2


def test_only_what_a_run_saw_opens_the_way(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    sim.fault("status", "GET", "/v2/positions", times=None, status=500)
    reconcile(sim_account)
    with pytest.raises(ReconciliationError, match="another account"):
        rebind(Drift.objects.get(), "PA1")


def test_good_read_closes_the_way(drift: Drift, sim: SimAccount, settings: LazySettings) -> None:
    number = drift.broker["account_number"]
    Drift.objects.filter(pk=drift.pk).update(state=Drift.State.RESOLVED, resolved_at=timezone.now())
    with pytest.raises(ReconciliationError, match="settled already"):
        rebind(drift, number)


def test_page(drift: Drift, client: Client, people: SimpleNamespace) -> None:
    address = reverse("reconciliation:rebind", args=[drift.pk])
    client.force_login(people.trader)
    assert client.get(address).status_code == 403
    assert address not in page(client)
    client.force_login(people.ops)
    assert address in page(client)
    assert "archived" in page(client, address)
    answer = client.post(address, {"number": "PA000", "reason": "reset"})
    assert "Nothing was changed. Expected" in answer.content.decode()
    client.post(address, {"number": drift.broker["account_number"], "reason": "reset"})
    assert Account.objects.get(slug="sim").pk != drift.account_id
    assert Run.objects.filter(account__slug="sim", state=Run.State.QUEUED, requested_by="ops").count() == 1
