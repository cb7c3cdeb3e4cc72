"""What goes away and comes again is counted, said, and left to people."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker.models import Account
from reconciliation.difference import Difference, Explained
from reconciliation.ignoring import ignore_drift, reopen_grown
from reconciliation.kinds import Kind
from reconciliation.models import BackfillPolicy, Drift, Fix
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import backfill_all, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new"))
    return sim_account


def come_and_go(account: Account, sim: SimAccount) -> None:
    sim.fault("unknown_status", "GET", "/v2/orders", times=None, status="frobbed")
    reconcile(account)
    sim.clear_faults()
    reconcile(account)


def test_third_return_is_said(account: Account, sim: SimAccount) -> None:
    for _ in range(3):
        come_and_go(account, sim)
    first = Drift.objects.order_by("pk").values_list("kind", flat=True)[0]
    assert not Drift.objects.filter(sentence__contains="came and went").exists()
    sim.fault("unknown_status", "GET", "/v2/orders", times=None, status="frobbed")
    reconcile(account)
    drift = Drift.objects.open().get(kind=first)
    assert drift.flaps == 3
    assert "It came and went 3 times since " in drift.sentence
    reconcile(account)
    drift.refresh_from_db()
    assert drift.flaps == 3
    assert drift.sentence.count("came and went") == 1


def test_what_came_the_day_before_does_not_count(account: Account, sim: SimAccount) -> None:
    for _ in range(3):
        come_and_go(account, sim)
    Drift.objects.update(resolved_at=timezone.now() - timedelta(hours=25))
    sim.fault("unknown_status", "GET", "/v2/orders", times=None, status="frobbed")
    reconcile(account)
    assert {drift.flaps for drift in Drift.objects.open()} == {0}


def test_policy_leaves_it_to_a_person(account: Account, sim: SimAccount) -> None:
    BackfillPolicy.objects.create(
        account=account, mode="automatic", not_before_close_minutes=0, updated_at=timezone.now(), updated_by="admin"
    )
    placed(sim, client_order_id="ts-2", symbol="NVDA")
    reconcile(account)
    fix = Fix.objects.get(symbol="NVDA")
    assert fix.state == Fix.State.APPROVED
    run, now = fix.run, timezone.now()
    for _ in range(3):
        Drift.objects.create(
            account=account, key=fix.key, kind="our_order_unlinked", group="identity", severity="high",
            state="resolved", sentence="", local={}, broker={}, first_run=run, last_run=run, first_seen_at=now,
            last_seen_at=now, resolved_at=now,
        )  # fmt: skip
    Fix.objects.update(state=Fix.State.PROPOSED, approved_by="")
    reconcile(account)
    fix.refresh_from_db()
    assert fix.state == Fix.State.PROPOSED
    assert Drift.objects.open().get(key=fix.key).flaps == 3


def test_what_a_person_undid_is_no_flapping(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-2", symbol="NVDA")
    for _ in range(3):
        reconcile(account)
        (fix,) = backfill_all(account).fixes
        undo_fix(fix=fix, actor="ops", now=timezone.now(), reason="to see")
    reconcile(account)
    assert Drift.objects.open().get(kind="our_order_unlinked").flaps == 0


def test_bad_reads_that_come_and_go_are_counted(account: Account, sim: SimAccount) -> None:
    for _ in range(4):
        sim.fault("status", "GET", "/v2/positions", times=None, status=500)
        reconcile(account)
        drift = Drift.objects.open().get(kind="incomplete_read")
        sim.clear_faults()
        reconcile(account)
    assert drift.flaps == 3
    assert "came and went 3 times" in drift.sentence


def test_ignored_by_a_person_is_open_again_once_it_is_critical(account: Account, sim: SimAccount) -> None:
    """An order from outside that waits is ignored; filled, it explains a position that nobody guards."""
    order = placed(sim, symbol="NVDA", type="limit", limit_price="1.00", wait="new")
    reconcile(account)
    now = timezone.now()
    drift = Drift.objects.open().roots().get(kind="external_order")
    ignore_drift(drift=drift, actor="ops", reason="hand trade", until=now + timedelta(days=1), now=now)
    reconcile(account)
    drift.refresh_from_db()
    assert drift.state == Drift.State.IGNORED
    sim.act("fill", order_id=order["id"])
    reconcile(account)
    drift.refresh_from_db()
    assert drift.state == Drift.State.OPEN
    assert drift.consequences.filter(severity="critical").exists()


def test_ignored_by_a_person_is_open_again_when_something_critical_follows_from_it(
    account: Account, sim: SimAccount
) -> None:
    placed(sim, symbol="NVDA", type="limit", limit_price="1.00", wait="new")
    reconcile(account)
    now = timezone.now()
    drift = Drift.objects.open().roots().get(kind="external_order")
    ignore_drift(drift=drift, actor="ops", reason="hand trade", until=now + timedelta(days=1), now=now)
    root = Difference(
        kind=Kind.EXTERNAL_ORDER, subject=drift.key.split(":", 1)[1], symbol="NVDA", local={}, broker={}, sentence=""
    )
    follower = Difference(
        kind=Kind.POSITION_BROKER_ONLY, subject="NVDA", symbol="NVDA", local={}, broker={}, sentence=""
    )
    family = [Explained(difference=root), Explained(difference=follower, cause_key=root.key)]
    reopen_grown(account=account, explained=family[:1])
    drift.refresh_from_db()
    assert drift.state == Drift.State.IGNORED
    reopen_grown(account=account, explained=family)
    drift.refresh_from_db()
    assert drift.state == Drift.State.OPEN
