"""A policy gives the approval that a person would give, or asks for a second one. It never widens what a fix may do."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from orders.models import Fill, Order
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.models import BackfillPolicy, Drift, Fix, Run
from reconciliation.policies import POLICY_ACTOR, automatic_fixes
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import backfill_all, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db
Mode = BackfillPolicy.Mode


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1", symbol="QCOM")
    return sim_account


def make_policy(
    account: Account, mode: str, kind: str = "", max_dollars: str | None = None, **fields: Any
) -> BackfillPolicy:
    return BackfillPolicy.objects.create(
        account=account,
        kind=kind,
        mode=mode,
        max_dollars=None if max_dollars is None else Decimal(max_dollars),
        updated_at=timezone.now(),
        updated_by="admin",
        **{"not_before_close_minutes": 0, **fields},
    )


def approve(*actors: str) -> list[int]:
    """Each in turn approves all that is proposed; return how many fixes each one's approval approved."""
    return [len(approve_fixes(fixes=Fix.objects.proposed(), actor=actor, now=timezone.now())) for actor in actors]


def test_nothing_is_automatic_by_default(account: Account) -> None:
    reconcile(account)
    assert Fix.objects.get().state == Fix.State.PROPOSED


def test_automatic_policy_approves_and_the_fix_is_applied_and_verified(account: Account) -> None:
    make_policy(account, Mode.AUTOMATIC)
    assert reconcile(account).state == Run.State.DRIFT
    fix = Fix.objects.get()
    assert (fix.state, fix.approved_by) == (Fix.State.APPROVED, POLICY_ACTOR)
    assert apply_approved(account=account, actor="system:worker").all_verified
    assert Fill.objects.count() == 1
    actors = AuditEntry.objects.filter(subject_type="fix").values_list("action", "actor")
    assert sorted(actors) == [("fix.applied", POLICY_ACTOR), ("fix.approved", POLICY_ACTOR)]


@pytest.mark.parametrize(
    ("own", "default", "state"),
    [
        (Mode.PROPOSE, Mode.AUTOMATIC, Fix.State.PROPOSED),
        (Mode.AUTOMATIC, Mode.PROPOSE, Fix.State.APPROVED),
        (Mode.AUTOMATIC, Mode.TWO_PEOPLE, Fix.State.APPROVED),
    ],
)
def test_policy_of_the_kind_goes_before_that_of_every_kind(
    account: Account, own: str, default: str, state: str
) -> None:
    make_policy(account, own, kind="our_order_unlinked")
    make_policy(account, default)
    reconcile(account)
    assert Fix.objects.get().state == state


@pytest.mark.parametrize(("share", "state"), [("1", Fix.State.APPROVED), ("0.99", Fix.State.PROPOSED)])
def test_dollar_limit_leaves_the_larger_to_a_person(account: Account, share: str, state: str) -> None:
    reconcile(account)
    dollars = Drift.objects.get(kind="our_order_unlinked").dollars
    assert dollars
    make_policy(account, Mode.AUTOMATIC, max_dollars=str(dollars * Decimal(share)))
    reconcile(account)
    assert Fix.objects.get().state == state


def test_what_is_no_safe_copy_always_waits_for_a_person(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    placed(sim, symbol="QCOM")  # from outside
    make_policy(sim_account, Mode.AUTOMATIC)
    reconcile(sim_account)
    assert Drift.objects.filter(kind="external_order").exists()
    assert set(Fix.objects.values_list("state", flat=True)) == {Fix.State.PROPOSED}


def test_what_a_person_undid_does_not_come_back_by_itself(account: Account) -> None:
    make_policy(account, Mode.AUTOMATIC)
    reconcile(account)
    apply_approved(account=account, actor="system:worker")
    undo_fix(fix=Fix.objects.get(), actor="ops", now=timezone.now(), reason="not ours")
    reconcile(account)
    assert Fix.objects.proposed().count() == 1
    assert not Order.objects.exists()


def test_preview_names_what_would_be_applied(account: Account) -> None:
    reconcile(account)
    change, now = BackfillPolicy(account=account, kind="", mode=Mode.AUTOMATIC), timezone.now()
    assert automatic_fixes(account, [change], now=now) == [Fix.objects.get()]
    assert automatic_fixes(account, [BackfillPolicy(account=account, kind="", mode=Mode.PROPOSE)], now=now) == []


def test_two_people_means_two(account: Account) -> None:
    make_policy(account, Mode.TWO_PEOPLE)
    reconcile(account)
    assert approve("ops", "ops", "ops") == [0, 0, 0]
    fix = Fix.objects.get()
    assert fix.awaits_second_person
    assert fix.requested_by == "ops"
    assert approve("admin") == [1]
    fix.refresh_from_db()
    assert (fix.state, fix.requested_by, fix.approved_by) == (Fix.State.APPROVED, "ops", "admin")
    assert list(AuditEntry.objects.filter(subject_type="fix").order_by("pk").values_list("action", "actor")) == [
        ("fix.requested", "ops"),
        ("fix.approved", "admin"),
    ]


def test_second_person_is_still_needed_after_the_policy_is_gone(account: Account) -> None:
    policy = make_policy(account, Mode.TWO_PEOPLE)
    reconcile(account)
    approve("ops")
    policy.delete()
    assert approve("ops", "admin") == [0, 1]


def test_requested_fix_is_not_approved_by_an_automatic_policy(account: Account) -> None:
    policy = make_policy(account, Mode.TWO_PEOPLE)
    reconcile(account)
    approve("ops")
    BackfillPolicy.objects.filter(pk=policy.pk).update(mode=Mode.AUTOMATIC)
    reconcile(account)
    assert Fix.objects.get().awaits_second_person


def test_the_database_refuses_one_person_for_two(account: Account) -> None:
    reconcile(account)
    with pytest.raises(IntegrityError), transaction.atomic():
        Fix.objects.update(requested_by="ops", approved_by="ops")


def test_policy_of_one_account_says_nothing_about_another(account: Account) -> None:
    other = Account.objects.create(slug="other", name="Other")
    make_policy(other, Mode.AUTOMATIC)
    reconcile(account)
    assert Fix.objects.get().state == Fix.State.PROPOSED


def test_without_a_policy_one_person_is_enough(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-2", symbol="NVDA"))
    reconcile(account)
    assert backfill_all(account).all_verified
