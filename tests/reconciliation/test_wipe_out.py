"""The wipe-out guard: too many open positions at once are a person's decision, with a reason, whatever proposes it."""

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from positions.models import Position
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.errors import NeedsOverride
from reconciliation.models import BackfillPolicy, Fix, Run
from tests.reconciliation.steps import open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db
HELD = ("QCOM", "NVDA", "ACGL", "MSFT", "AAPL", "KO")


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    """Six positions that both sides know."""
    open_books(sim_account)
    for symbol in HELD:
        record_as(sim_account, sim, placed(sim, client_order_id=f"ts-{symbol}", symbol=symbol, qty="2"))
    return sim_account


def sell(sim: SimAccount, *symbols: str) -> None:
    """Ours, and nobody recorded it: the fix closes the position."""
    for symbol in symbols:
        placed(sim, client_order_id=f"ts-exit-{symbol}", symbol=symbol, qty="2", side="sell")


def approve(account: Account, *symbols: str, **options: Any) -> list[Fix]:
    fixes = Fix.objects.filter(account=account).proposed().order_by("pk")
    fixes = fixes.filter(symbol__in=symbols) if symbols else fixes
    return approve_fixes(fixes=fixes, actor="ops", now=timezone.now(), **options)


def states(account: Account) -> set[str]:
    return set(Fix.objects.filter(account=account).values_list("state", flat=True))


def test_bulk_approval_beyond_the_share_is_refused_with_a_sentence(account: Account, sim: SimAccount) -> None:
    sell(sim, *HELD[:3])
    reconcile(account)
    with pytest.raises(
        NeedsOverride, match=r"3 of 6 open positions \(ACGL, NVDA, QCOM\), more than the 30 %"
    ) as refused:
        approve(account)
    assert refused.value.typed == "3"
    assert states(account) == {Fix.State.PROPOSED}
    assert not AuditEntry.objects.filter(action="fix.approved").exists()


def test_reason_lets_it_through_and_is_journaled(account: Account, sim: SimAccount) -> None:
    sell(sim, *HELD[:3])
    reconcile(account)
    assert len(approve(account, override_reason="the desk closed them")) == 3
    assert apply_approved(account=account, actor="ops").all_verified
    assert set(AuditEntry.objects.filter(action="fix.approved").values_list("reason", flat=True)) == {
        "the desk closed them"
    }
    assert Position.objects.filter(account=account).open().count() == 3


def test_one_by_one_counts_together_until_they_are_applied(account: Account, sim: SimAccount) -> None:
    sell(sim, *HELD[:3])
    reconcile(account)
    approve(account, HELD[0])
    approve(account, HELD[1])
    with pytest.raises(NeedsOverride):
        approve(account, HELD[2])
    assert apply_approved(account=account, actor="ops").all_verified
    approve(account, HELD[2])
    assert apply_approved(account=account, actor="ops").all_verified


def test_opening_positions_does_not_count(account: Account, sim: SimAccount) -> None:
    """As on the day of the incident: five opened, two closed."""
    for symbol in ("T", "PEP", "AMD", "IBM", "ORCL"):
        placed(sim, client_order_id=f"ts-{symbol}", symbol=symbol, qty="2")
    sell(sim, *HELD[:2])
    reconcile(account)
    assert len(approve(account)) == 7


def test_share_of_the_account_is_what_counts(account: Account, sim: SimAccount) -> None:
    Account.objects.update(guard_share_pct=50)
    sell(sim, *HELD[:3])
    reconcile(account)
    assert len(approve(account)) == 3


def test_policy_never_applies_beyond_the_share(account: Account, sim: SimAccount) -> None:
    BackfillPolicy.objects.create(
        account=account, mode="automatic", not_before_close_minutes=0, updated_at=timezone.now(), updated_by="admin"
    )
    sell(sim, *HELD[:3])
    placed(sim, client_order_id="ts-new", symbol="T")
    reconcile(account)
    assert Fix.objects.get(symbol="T").state == Fix.State.APPROVED
    assert set(Fix.objects.exclude(symbol="T").values_list("state", flat=True)) == {Fix.State.PROPOSED}


def test_what_was_approved_past_the_guard_lapses_when_it_is_applied(account: Account, sim: SimAccount) -> None:
    """Two people at the same moment, each within the share."""
    sell(sim, *HELD[:3])
    reconcile(account)
    Fix.objects.update(state=Fix.State.APPROVED, approved_by="ops", approved_at=timezone.now())
    apply_approved(account=account, actor="system:worker")
    assert states(account) == {Fix.State.PROPOSED}
    assert "approve again with a reason" in Fix.objects.all()[0].outcome
    assert AuditEntry.objects.filter(action="fix.approval_lapsed").count() == 3
    assert Position.objects.filter(account=account).open().count() == 6
    assert reconcile(account).state == Run.State.DRIFT
    approve(account, override_reason="yes, all of them")
    assert apply_approved(account=account, actor="ops").all_verified


def test_two_people_and_a_reason_of_each(account: Account, sim: SimAccount) -> None:
    BackfillPolicy.objects.create(
        account=account, mode="two_people", not_before_close_minutes=0, updated_at=timezone.now(), updated_by="admin"
    )
    sell(sim, *HELD[:3])
    reconcile(account)
    assert approve(account, override_reason="the desk closed them") == []
    fixes = list(Fix.objects.all())
    with pytest.raises(NeedsOverride):
        approve_fixes(fixes=fixes, actor="admin", now=timezone.now())
    assert len(approve_fixes(fixes=fixes, actor="admin", now=timezone.now(), override_reason="seen")) == 3


def test_averages_that_change_count(account: Account, sim: SimAccount) -> None:
    """A fix that adds to a position changes it, too."""
    for symbol in HELD[:3]:
        placed(sim, client_order_id=f"ts-more-{symbol}", symbol=symbol, qty="1")
    reconcile(account)
    with pytest.raises(NeedsOverride):
        approve(account)


def backfill(*options: str) -> tuple[int, str]:
    """Exit status and what was said."""
    out, err = StringIO(), StringIO()
    try:
        call_command("backfill", *options, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_command_refuses_and_overrides(account: Account, sim: SimAccount, people: Any) -> None:
    assert User.objects.filter(username="ops").exists()
    sell(sim, *HELD[:3])
    reconcile(account)
    status, said = backfill("--all", "--as", "ops")
    assert status == 2
    assert "3 of 6 open positions" in said
    assert "--override-guard" in said
    assert states(account) == {Fix.State.PROPOSED}
    status, said = backfill("--all", "--as", "ops", "--override-guard", "the desk closed them")
    assert status == 0
    assert states(account) == {Fix.State.VERIFIED}
    assert {row.qty for row in Position.objects.filter(account=account).open()} == {Decimal(2)}
