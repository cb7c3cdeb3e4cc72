"""Approve fixes. Approving is a decision; applying is done from the row by whoever gets to it first."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from audit import journal
from broker.models import Account
from reconciliation.errors import FixRefused
from reconciliation.models import BackfillPolicy, Fix
from reconciliation.policies import POLICY_ACTOR, PolicyBook, automatic_fixes


def approve_fixes(
    *, fixes: Iterable[Fix], actor: str, now: datetime, fingerprints: dict[int, str] | None = None
) -> list[Fix]:
    """Approve each fix that is still as it was shown; return those that this call approved.

    `fingerprints` are those of the pictures that the person saw, by fix id. A second approval of the same fix,
    by anyone, changes nothing and is not an error. Where a policy asks for two people the first one's approval is
    a request: `fix.requested_by` then says whose, and only another person's approves it.
    Raises FixRefused for a fix that is void or was re-made.
    """
    fixes = list(fixes)
    for fix in fixes:
        _refuse_unfit(fix, fingerprints)
    books = {account: PolicyBook(account) for account in {fix.account for fix in fixes}}
    return [fix for fix in fixes if _decide(fix, actor, now, needs_two=books[fix.account].needs_two_people(fix))]


def approve_by_policy(*, account: Account, now: datetime) -> list[Fix]:
    """Approve what the account's policies let through. The worker applies it, as after a person's approval."""
    fixes = automatic_fixes(account, BackfillPolicy.objects.filter(account=account))
    return [fix for fix in fixes if _decide(fix, POLICY_ACTOR, now, needs_two=False)]


def _refuse_unfit(fix: Fix, fingerprints: dict[int, str] | None) -> None:
    seen = (fingerprints or {}).get(fix.pk, fix.fingerprint)
    if seen != fix.fingerprint:
        raise FixRefused(f"Fix {fix.pk} changed since it was shown to you. Look at the new picture first.")
    if fix.state in {Fix.State.STALE, Fix.State.WITHDRAWN, Fix.State.FAILED, Fix.State.UNDONE}:
        raise FixRefused(f"Fix {fix.pk} is {fix.get_state_display().lower()}. {fix.outcome}".strip())


def _decide(fix: Fix, actor: str, now: datetime, *, needs_two: bool) -> bool:
    """Return True if the fix is approved by this call."""
    shown = Fix.objects.filter(pk=fix.pk, state=Fix.State.PROPOSED, fingerprint=fix.fingerprint)
    with transaction.atomic():
        if needs_two and shown.filter(requested_by="").update(requested_by=actor, requested_at=now):
            _record(fix, actor, now, "fix.requested", f"Requested, another person must approve: {fix.title}")
            approved = 0
        else:
            # The database refuses it, too, if requester and approver are one.
            approved = shown.exclude(requested_by=actor).update(
                state=Fix.State.APPROVED, approved_at=now, approved_by=actor
            )
        if approved:
            _record(fix, actor, now, "fix.approved", f"Approved: {fix.title}")
    fix.refresh_from_db()
    return approved == 1


def _record(fix: Fix, actor: str, now: datetime, action: str, summary: str) -> None:
    journal.record(
        at=now,
        actor=actor,
        action=action,
        account=fix.account.slug,
        subject_type="fix",
        subject_id=fix.pk,
        summary=summary,
        before=fix.before,
        after=fix.after,
    )
