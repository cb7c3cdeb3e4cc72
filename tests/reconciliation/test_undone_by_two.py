"""Where a policy asks for two people, undoing takes two as well; and nothing is put back over what was booked."""

import copy

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from orders.models import Order
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.errors import FixRefused
from reconciliation.models import BackfillPolicy, Fix, Run
from reconciliation.operations import reverse
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import backfill_all, books, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    return sim_account


@pytest.fixture
def fix(account: Account, sim: SimAccount) -> Fix:
    """A backfill that two people let through."""
    BackfillPolicy.objects.create(account=account, kind="", mode="two_people", updated_at=timezone.now())
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    for actor in ("ops", "admin"):
        approve_fixes(fixes=Fix.objects.proposed(), actor=actor, now=timezone.now())
    [applied] = apply_approved(account=account, actor="ops").fixes
    assert applied.state == Fix.State.VERIFIED
    return applied


def undo(fix: Fix, actor: str) -> Fix:
    return undo_fix(fix=Fix.objects.get(pk=fix.pk), actor=actor, now=timezone.now(), reason="wrong day")


def test_undoing_takes_two_people(account: Account, fix: Fix) -> None:
    before = books()
    asked = undo(fix, "ops")
    assert (asked.state, asked.undo_requested_by, asked.undone_by) == (Fix.State.VERIFIED, "ops", "")
    assert books() == before
    with pytest.raises(FixRefused, match="another person"):
        undo(fix, "ops")
    assert books() == before
    done = undo(fix, "admin")
    assert (done.state, done.undo_requested_by, done.undone_by) == (Fix.State.UNDONE, "ops", "admin")
    assert not Order.objects.exists()
    told = AuditEntry.objects.filter(action__startswith="fix.und").order_by("pk")
    assert list(told.values_list("action", "actor")) == [("fix.undo_requested", "ops"), ("fix.undone", "admin")]
    assert reconcile(account).state == Run.State.DRIFT


def test_the_second_person_is_needed_after_the_policy_is_gone(fix: Fix) -> None:
    undo(fix, "ops")
    BackfillPolicy.objects.all().delete()
    with pytest.raises(FixRefused, match="another person"):
        undo(fix, "ops")
    assert undo(fix, "admin").state == Fix.State.UNDONE


def test_the_database_refuses_one_person_for_both(fix: Fix) -> None:
    undo(fix, "ops")
    with pytest.raises(IntegrityError, match="undo_needs_another_person"), transaction.atomic():
        Fix.objects.filter(pk=fix.pk).update(undone_by="ops")


def test_without_a_policy_one_person_is_enough(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    [applied] = backfill_all(account).fixes
    assert undo(applied, "ops").state == Fix.State.UNDONE


def test_nothing_is_put_back_over_what_was_booked_meanwhile(account: Account, sim: SimAccount) -> None:
    """PostgreSQL lets another transaction commit between the look and the write."""
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, raw)
    sim.act("fill", order_id=raw["id"], price="1.00")
    reconcile(account)
    [applied] = backfill_all(account).fixes
    plan = copy.deepcopy(applied.undo_plan)
    Order.objects.update(broker_updated_at=timezone.now(), status="canceled")
    with pytest.raises(FixRefused, match="meanwhile"), transaction.atomic():
        reverse(plan, account=account)
    assert Order.objects.get().status == "canceled"
