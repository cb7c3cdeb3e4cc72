"""A fix is done as shown or not at all, once, and checked after."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.applying import Applied, apply_approved, apply_fix
from reconciliation.approving import approve_fixes
from reconciliation.errors import FixRefused
from reconciliation.models import Fix, Run
from reconciliation.operations import perform
from tests.reconciliation.steps import backfill_all, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1", symbol="QCOM")
    placed(sim, client_order_id="ts-2", symbol="NVDA")
    reconcile(sim_account)
    return sim_account


@pytest.mark.django_db
def test_what_is_written_is_what_was_shown(account: Account) -> None:
    shown = {fix.symbol: fix.after["position"] for fix in Fix.objects.all()}
    backfill_all(account)
    for symbol, position in shown.items():
        row = Position.objects.get(symbol=symbol)
        for name in ("qty", "avg_entry_price", "stop_loss", "target", "total_risk"):
            assert getattr(row, name) == Decimal(position[name]), f"{name} of {symbol}"


@pytest.mark.django_db
def test_picture_that_moved_voids_the_approval(account: Account, sim: SimAccount) -> None:
    fix = Fix.objects.get(symbol="QCOM")
    approve_fixes(fixes=[fix], actor="ops", now=timezone.now())
    # Somebody records the order in the meantime: nothing is left of what was shown.
    record_as(account, sim, sim.order("ts-1"))
    applied = apply_approved(account=account, actor="ops")
    assert [fix.state for fix in applied.fixes] == [Fix.State.WITHDRAWN]
    assert Fill.objects.filter(symbol="QCOM").count() == 1


@pytest.mark.django_db
def test_broker_that_moved_voids_the_approval(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    sim.act("fill", order_id=raw["id"], qty="3", price="1.00")
    reconcile(sim_account)
    fix = Fix.objects.get()
    approve_fixes(fixes=[fix], actor="ops", now=timezone.now())
    sim.act("fill", order_id=raw["id"], qty="2", price="1.00")
    applied = apply_approved(account=sim_account, actor="ops")
    assert [fix.state for fix in applied.fixes] == [Fix.State.STALE]
    assert not Order.objects.exists()
    # The new picture is proposed in its place.
    assert Fix.objects.proposed().get().broker["order"]["filled_qty"] == "5"


@pytest.mark.django_db
def test_fingerprint_of_an_older_picture_is_refused(account: Account) -> None:
    fix = Fix.objects.first()
    assert fix is not None
    with pytest.raises(FixRefused, match="changed since it was shown"):
        approve_fixes(fixes=[fix], actor="ops", now=timezone.now(), fingerprints={fix.pk: "older"})
    fix.refresh_from_db()
    assert fix.state == Fix.State.PROPOSED


@pytest.mark.django_db
def test_second_approval_changes_nothing(account: Account) -> None:
    fixes = list(Fix.objects.all())
    assert len(approve_fixes(fixes=fixes, actor="ops", now=timezone.now())) == 2
    assert approve_fixes(fixes=list(Fix.objects.all()), actor="admin", now=timezone.now()) == []
    assert set(Fix.objects.values_list("approved_by", flat=True)) == {"ops"}
    apply_approved(account=account, actor="ops")
    assert approve_fixes(fixes=list(Fix.objects.all()), actor="admin", now=timezone.now()) == []
    assert Fill.objects.count() == 2


@pytest.mark.django_db
def test_approval_and_application_are_in_the_journal(account: Account) -> None:
    backfill_all(account)
    acts = AuditEntry.objects.filter(subject_type="fix").values_list("action", "actor")
    assert sorted(acts) == [("fix.applied", "ops")] * 2 + [("fix.approved", "ops")] * 2
    entry = AuditEntry.objects.filter(action="fix.applied").first()
    assert entry is not None
    assert entry.before != entry.after


@pytest.mark.django_db
def test_incomplete_read_applies_nothing_and_keeps_the_approval(account: Account, sim: SimAccount) -> None:
    approve_fixes(fixes=Fix.objects.all(), actor="ops", now=timezone.now())
    sim.fault("status", "GET", "/v2/positions", times=None, status=500)
    applied = apply_approved(account=account, actor="ops")
    assert {fix.state for fix in applied.fixes} == {Fix.State.APPROVED}
    assert not Order.objects.exists()
    sim.clear_faults()
    assert apply_approved(account=account, actor="ops").all_verified


@pytest.mark.django_db
def test_applied_but_not_verified_before_a_crash_is_verified_later(account: Account) -> None:
    approve_fixes(fixes=Fix.objects.all(), actor="ops", now=timezone.now())
    reconcile(account)
    for fix in Fix.objects.all():
        assert apply_fix(fix=fix, now=timezone.now())
    assert apply_approved(account=account, actor="ops").all_verified
    assert Fill.objects.count() == 2


@pytest.mark.django_db
def test_verification_that_cannot_be_read_is_made_up_for(account: Account, sim: SimAccount) -> None:
    approve_fixes(fixes=Fix.objects.all(), actor="ops", now=timezone.now())
    # The fresh run reads twice; what comes after it is the verification.
    sim.fault("status", "GET", "/v2/positions", times=None, after=2, status=500)
    applied = apply_approved(account=account, actor="ops")
    assert {fix.state for fix in applied.fixes} == {Fix.State.APPLIED}
    assert applied.verification_run is not None
    assert applied.verification_run.state == Run.State.INCOMPLETE
    sim.clear_faults()
    assert apply_approved(account=account, actor="ops").all_verified
    assert Fill.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("step", ["perform", "rebuild_positions", "journal.record"])
def test_crash_at_any_step_writes_nothing_or_all(account: Account, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    class Killed(BaseException):
        pass

    def die(**_options: object) -> None:
        raise Killed

    approve_fixes(fixes=Fix.objects.all(), actor="ops", now=timezone.now())
    with monkeypatch.context() as patched:
        patched.setattr(f"reconciliation.applying.{step}", die)
        with pytest.raises(Killed):
            apply_approved(account=account, actor="ops")
    assert not Order.objects.exists()
    assert set(Fix.objects.values_list("state", flat=True)) == {Fix.State.APPROVED}
    assert apply_approved(account=account, actor="ops").all_verified
    assert Fill.objects.count() == 2


@pytest.mark.django_db
def test_fix_that_cannot_be_written_is_void_and_holds_up_no_other(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_nvda(*, operation: dict[str, Any], **options: Any) -> None:
        if operation["order"]["symbol"] == "NVDA":
            raise FixRefused("It cannot be.")
        perform(operation=operation, **options)

    monkeypatch.setattr("reconciliation.applying.perform", refuse_nvda)
    approve_fixes(fixes=Fix.objects.all(), actor="ops", now=timezone.now())
    apply_approved(account=account, actor="ops")
    assert dict(Fix.objects.exclude(state="proposed").values_list("symbol", "state")) == {
        "NVDA": Fix.State.STALE,
        "QCOM": Fix.State.VERIFIED,
    }
    assert "It cannot be." in Fix.objects.get(state=Fix.State.STALE).outcome
    assert list(Order.objects.values_list("symbol", flat=True)) == ["QCOM"]


@pytest.mark.django_db
def test_fix_that_the_last_read_contradicts_is_not_called_verified(account: Account, sim: SimAccount) -> None:
    fix = Fix.objects.get(symbol="QCOM")
    approve_fixes(fixes=[fix], actor="ops", now=timezone.now())
    apply_fix(fix=fix, now=timezone.now())
    Fill.objects.filter(symbol="QCOM").delete()
    Order.objects.filter(symbol="QCOM").delete()
    applied = apply_approved(account=account, actor="ops")
    fix.refresh_from_db()
    assert fix.state == Fix.State.FAILED
    assert not applied.all_verified


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_apply_once(account: Account) -> None:
    fixes = list(Fix.objects.all())

    def approve_and_apply(name: str) -> Applied:
        try:
            approve_fixes(fixes=list(Fix.objects.filter(pk__in=[f.pk for f in fixes])), actor=name, now=timezone.now())
            return apply_approved(account=account, actor=name)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(approve_and_apply, ["ops", "admin"]))
    assert Order.objects.count() == 2
    assert Fill.objects.count() == 2
    assert set(Fix.objects.values_list("state", flat=True)) == {Fix.State.VERIFIED}
    assert AuditEntry.objects.filter(action="fix.applied").count() == 2
    assert reconcile(account).state == Run.State.IN_SYNC
