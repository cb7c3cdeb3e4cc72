"""A policy gives the approval that a person would give, or asks for a second one. It never widens what a fix may do."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account, AccountSnapshot
from broker.times import NEW_YORK, moment
from orders.models import Fill, Order
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.errors import NeedsOverride
from reconciliation.models import BackfillPolicy, Drift, Fix, Run
from reconciliation.policies import POLICY_ACTOR, automatic_fixes, why_barred
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


# --- When a policy applies ----------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=NEW_YORK)
CLOSE = datetime(2026, 3, 4, 16, 0, tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("begins", "ends", "wall", "is_barred"),
    [
        (None, None, time(3, 0), False),
        (time(9, 45), None, time(9, 44), True),
        (time(9, 45), None, time(9, 45), False),
        (None, time(15, 30), time(15, 30), True),
        (None, time(15, 30), time(15, 29), False),
        (time(18, 0), time(4, 0), time(12, 0), True),
        (time(18, 0), time(4, 0), time(23, 0), False),
        (time(18, 0), time(4, 0), time(3, 0), False),
    ],
)
def test_window_is_of_new_york(begins: time | None, ends: time | None, wall: time, is_barred: bool) -> None:
    policy = BackfillPolicy(mode=Mode.AUTOMATIC, window_from=begins, window_until=ends)
    now = datetime.combine(NOON.date(), wall, tzinfo=NEW_YORK).astimezone(UTC)
    assert bool(why_barred(policy, now=now, closes_at=None)) is is_barred


@pytest.mark.parametrize(
    ("minutes", "before_close", "is_barred"), [(10, 11, False), (10, 10, False), (10, 9, True), (0, 1, False)]
)
def test_last_minutes_before_the_close(minutes: int, before_close: int, is_barred: bool) -> None:
    policy = BackfillPolicy(mode=Mode.AUTOMATIC, not_before_close_minutes=minutes)
    now = CLOSE - timedelta(minutes=before_close)
    assert bool(why_barred(policy, now=now, closes_at=CLOSE)) is is_barred
    assert not why_barred(policy, now=now, closes_at=None)


def test_clock_that_the_run_read_decides(account: Account, sim: SimAccount) -> None:
    make_policy(account, Mode.AUTOMATIC, not_before_close_minutes=1440)
    reconcile(account)  # the simulator is open and closes within a day, or at the next session's end
    closes_at = moment(sim.api("GET", "/v2/clock")["next_close"])
    assert closes_at - timezone.now() < timedelta(days=5)
    expected = Fix.State.PROPOSED if closes_at - timezone.now() < timedelta(days=1) else Fix.State.APPROVED
    assert Fix.objects.get().state == expected


def test_person_in_a_barred_time_gives_a_reason(account: Account) -> None:
    now = timezone.now()
    wall = now.astimezone(NEW_YORK)
    begins, ends = (wall + timedelta(hours=1)).time(), (wall + timedelta(hours=2)).time()
    make_policy(account, Mode.PROPOSE, window_from=begins, window_until=ends)
    reconcile(account)
    with pytest.raises(NeedsOverride, match="New York time only") as held:
        approve_fixes(fixes=Fix.objects.proposed(), actor="ops", now=now)
    assert held.value.typed == ""
    assert len(approve_fixes(fixes=Fix.objects.proposed(), actor="ops", now=now, override_reason="must be now")) == 1
    assert AuditEntry.objects.get(action="fix.approved").reason == "must be now"


def test_person_shortly_before_the_close_gives_a_reason(account: Account) -> None:
    now = timezone.now()
    make_policy(account, Mode.PROPOSE, not_before_close_minutes=10)
    reconcile(account)
    money = dict.fromkeys(
        ("equity", "last_equity", "cash", "buying_power", "long_market_value", "short_market_value"), Decimal(1)
    )
    AccountSnapshot.objects.create(
        account=account, read_at=now, market_is_open=True, next_close=now + timedelta(minutes=5), **money
    )
    with pytest.raises(NeedsOverride, match="last 10 minutes before the close"):
        approve("ops")
    AccountSnapshot.objects.update(market_is_open=False)
    assert approve("ops") == [1]


def test_limit_counts_for_the_sum_of_what_one_run_proposed(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-2", symbol="NVDA")
    reconcile(account)
    dollars = [d.dollars for d in Drift.objects.filter(kind="our_order_unlinked") if d.dollars is not None]
    assert len(dollars) == 2
    make_policy(account, Mode.AUTOMATIC, max_dollars=str(sum(dollars, Decimal(0)) - 1))
    for _ in range(3):  # later runs do not add what the first left
        reconcile(account)
        assert sorted(Fix.objects.values_list("state", flat=True)) == ["approved", "proposed"]
    apply_approved(account=account, actor="system:worker")
    reconcile(account)
    assert sorted(Fix.objects.values_list("state", flat=True)) == ["proposed", "verified"]
