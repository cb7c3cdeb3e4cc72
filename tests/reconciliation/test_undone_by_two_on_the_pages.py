"""Undoing what needs two people, on the pages: one asks, the same one is refused, another one does it."""

from types import SimpleNamespace

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.applying import apply_approved
from reconciliation.models import BackfillPolicy, Fix, Run
from tests.reconciliation.rows import APPROVE, page, shown
from tests.reconciliation.steps import books, kinds, open_books, placed, reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    BackfillPolicy.objects.create(account=sim_account, kind="", mode="two_people", updated_at=timezone.now())
    return sim_account


def signed_in(person: object) -> Client:
    client = Client()
    client.force_login(person)  # type: ignore[arg-type]
    return client


@pytest.fixture
def ops(people: SimpleNamespace) -> Client:
    return signed_in(people.ops)


@pytest.fixture
def admin(people: SimpleNamespace) -> Client:
    return signed_in(people.admin)


@pytest.fixture
def before(account: Account, sim: SimAccount) -> object:
    """An order that is not in the books, and what the books say then."""
    placed(sim, client_order_id="ts-1", symbol="QCOM")
    reconcile(account)
    return books()


@pytest.fixture
def fix(account: Account, before: object, ops: Client, admin: Client) -> Fix:
    fix = Fix.objects.get()
    for client in (ops, admin):
        client.post(APPROVE, {"only": fix.pk, "shown": shown(fix), "confirmed": "yes"})
    apply_approved(account=account, actor="system:worker")
    fix.refresh_from_db()
    assert (fix.state, fix.requested_by, fix.approved_by) == (Fix.State.VERIFIED, "ops", "admin")
    return fix


def undo(client: Client, fix: Fix, reason: str) -> str:
    """What the page says after the button was pressed."""
    return client.post(f"{fix.get_absolute_url()}undo/", {"reason": reason}, follow=True).content.decode()


def test_one_asks_and_another_one_undoes(
    account: Account, before: object, fix: Fix, ops: Client, admin: Client
) -> None:  # fmt: skip
    written = books()
    asked = undo(ops, fix, "Booked on the wrong day")
    assert "Requested: another person must confirm the undoing of Record our order buy 10 QCOM." in asked
    for client in (ops, admin):
        assert "<strong>ops asked for this" in page(client, fix.get_absolute_url())
    again = undo(ops, fix, "I am sure")
    assert f"Nothing was undone. You asked for fix {fix.pk} to be undone: another person must confirm it." in again
    assert books() == written
    done = undo(admin, fix, "So it was")
    assert "Undone: Record our order buy 10 QCOM." in done
    assert "<strong>Undone</strong> by admin" in page(admin, fix.get_absolute_url())
    assert books() == before
    assert not any(model.objects.exists() for model in (Order, Fill, Position))
    assert reconcile(account).state == Run.State.DRIFT
    assert list(kinds(account)) == ["our_order_unlinked"]


def test_the_journal_names_both(fix: Fix, ops: Client, admin: Client) -> None:
    undo(ops, fix, "Booked on the wrong day")
    undo(admin, fix, "So it was")
    listed = page(admin, "/audit/")
    assert "Undoing requested, another person must confirm: Record our order buy 10 QCOM" in listed
    assert "Undone: Record our order buy 10 QCOM" in listed
    for action, actor, reason in (
        ("fix.undo_requested", "ops", "Booked on the wrong day"),
        ("fix.undone", "admin", "So it was"),
    ):
        entry = page(admin, f"/audit/{AuditEntry.objects.get(action=action).pk}/")
        assert f">{actor}<" in entry
        assert reason in entry


def test_a_trader_may_not_be_the_second_person(fix: Fix, ops: Client, people: SimpleNamespace) -> None:
    undo(ops, fix, "Booked on the wrong day")
    answer = signed_in(people.trader).post(f"{fix.get_absolute_url()}undo/", {"reason": "So it was"})
    assert answer.status_code == 403
    fix.refresh_from_db()
    assert fix.undone_by == ""


def test_the_database_refuses_one_person_when_no_code_asks(fix: Fix, ops: Client, admin: Client) -> None:
    undo(ops, fix, "Booked on the wrong day")
    with pytest.raises(IntegrityError, match="undo_needs_another_person"), transaction.atomic():
        write_undone_by("ops", fix)
    fix.refresh_from_db()
    assert (fix.state, fix.undone_by) == (Fix.State.VERIFIED, "")
    undo(admin, fix, "So it was")
    with pytest.raises(IntegrityError, match="undo_needs_another_person"), transaction.atomic():
        write_undone_by("ops", fix)
    fix.refresh_from_db()
    assert (fix.state, fix.undone_by) == (Fix.State.UNDONE, "admin")


def write_undone_by(name: str, fix: Fix) -> None:
    """As somebody would at the prompt of the database."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE reconciliation_fix SET state = 'undone', undone_by = %s WHERE id = %s", [name, fix.pk])
