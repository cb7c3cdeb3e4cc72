"""Approve fixes. Approving is a decision; applying is done from the row by whoever gets to it first."""

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import transaction

from audit import journal
from broker.models import Account
from reconciliation.broker_permission import refuse_without_permission
from reconciliation.errors import FixRefused, NeedsOverride
from reconciliation.models import BackfillPolicy, Fix
from reconciliation.policies import POLICY_ACTOR, PolicyBook, automatic_fixes, session_end
from reconciliation.wipe_out import approved_together_with, touches_open_position, wipe_out
from work import correlation

#: Actions that book what nothing explains: the person's reason is part of what is booked.
NEEDS_REASON = frozenset({"book_cash_correction"})


def approve_fixes(
    *,
    fixes: Iterable[Fix],
    actor: str,
    now: datetime,
    fingerprints: dict[int, str] | None = None,
    override_reason: str = "",
) -> list[Fix]:
    """Approve each fix that is still as it was shown; return those that this call approved.

    `fingerprints` are those of the pictures that the person saw, by fix id. A second approval of the same fix,
    by anyone, changes nothing and is not an error. Where a policy asks for two people the first one's approval is
    a request: `fix.requested_by` then says whose, and only another person's approves it.
    Raises FixRefused for a fix that is void or was re-made, or that acts at Alpaca while the actor may not; and
    NeedsOverride where the wipe-out guard or a barred time holds it back and no `override_reason` is given. Then
    nothing was approved.
    """
    fixes = list(fixes)
    refuse_without_permission(fixes, actor)
    for fix in fixes:
        _refuse_unfit(fix, fingerprints)
    reason = " ".join(override_reason.split())[:300]
    overrides: set[int] = set()
    books: dict[Account, PolicyBook] = {}
    for account in {fix.account for fix in fixes}:
        mine = [fix for fix in fixes if fix.account_id == account.pk and fix.state == Fix.State.PROPOSED]
        books[account] = PolicyBook(account)
        overrides |= _held_back(account, mine, books[account], now, reason)
    return [
        fix
        for fix in fixes
        if _decide(
            fix,
            actor,
            now,
            needs_two=books[fix.account].needs_two_people(fix),
            override=reason if fix.pk in overrides else "",
        )
    ]


def approve_by_policy(*, account: Account, now: datetime, closes_at: datetime | None = None) -> list[Fix]:
    """Approve what the account's policies let through. The worker applies it, as after a person's approval."""
    policies = BackfillPolicy.objects.filter(account=account)
    fixes = automatic_fixes(account, policies, now=now, closes_at=closes_at)
    return [fix for fix in fixes if not fix.acts_at_broker and _decide(fix, POLICY_ACTOR, now, needs_two=False)]


def let_lapse(*, fixes: Collection[Fix], sentence: str, now: datetime) -> int:
    """Take approvals back that would together go too far: each fix is proposed again and says why."""
    lapsed = 0
    for fix in fixes:
        with transaction.atomic():
            back = Fix.objects.filter(pk=fix.pk, state=Fix.State.APPROVED).update(
                state=Fix.State.PROPOSED,
                approved_at=None,
                approved_by="",
                requested_by="",
                requested_at=None,
                outcome=sentence[:500],
            )
            if back:
                _record(fix, "system:guard", now, "fix.approval_lapsed", f"Not applied: {fix.title}", reason=sentence)
                lapsed += 1
    return lapsed


def _refuse_unfit(fix: Fix, fingerprints: dict[int, str] | None) -> None:
    seen = (fingerprints or {}).get(fix.pk, fix.fingerprint)
    if seen != fix.fingerprint:
        raise FixRefused(f"Fix {fix.pk} changed since it was shown to you. Look at the new picture first.")
    if fix.state in {Fix.State.STALE, Fix.State.WITHDRAWN, Fix.State.FAILED, Fix.State.UNDONE}:
        raise FixRefused(f"Fix {fix.pk} is {fix.get_state_display().lower()}. {fix.outcome}".strip())


def _held_back(account: Account, fixes: list[Fix], book: PolicyBook, now: datetime, reason: str) -> set[int]:
    """Return the ids of the fixes that only the reason lets through; raise NeedsOverride if there is none."""
    if not fixes:
        return set()
    barred = book.barred(fixes, now=now, closes_at=session_end(account, now))
    danger = wipe_out(account, approved_together_with(account, fixes))
    touching = {fix.pk for fix in fixes if touches_open_position(fix)} if danger else set()
    sentences = [danger.sentence] if danger and touching else []
    sentences += dict.fromkeys(barred.values())
    unexplained = {fix.pk for fix in fixes if fix.action in NEEDS_REASON}
    sentences += ["Nothing explains this money: say what it is."] if unexplained else []
    if sentences and not reason:
        typed = str(danger.count) if danger and touching else ""
        raise NeedsOverride(" ".join(sentences), typed=typed)
    return touching | set(barred) | unexplained


def _decide(fix: Fix, actor: str, now: datetime, *, needs_two: bool, override: str = "") -> bool:
    """Return True if the fix is approved by this call."""
    shown = Fix.objects.filter(pk=fix.pk, state=Fix.State.PROPOSED, fingerprint=fix.fingerprint)
    with transaction.atomic():
        if needs_two and shown.filter(requested_by="").update(requested_by=actor, requested_at=now):
            summary = f"Requested, another person must approve: {fix.title}"
            _record(fix, actor, now, "fix.requested", summary, reason=override)
            approved = 0
        else:
            # The database refuses it, too, if requester and approver are one.
            approved = shown.exclude(requested_by=actor).update(
                state=Fix.State.APPROVED,
                approved_at=now,
                approved_by=actor,
                override_reason=override,
                outcome="",
                correlation_id=correlation.current_or_new(),
            )
        if approved:
            _record(fix, actor, now, "fix.approved", f"Approved: {fix.title}", reason=override)
    fix.refresh_from_db()
    return approved == 1


def _record(fix: Fix, actor: str, now: datetime, action: str, summary: str, *, reason: str) -> None:
    journal.record(
        at=now,
        actor=actor,
        action=action,
        account=fix.account.slug,
        subject_type="fix",
        subject_id=fix.pk,
        summary=summary,
        reason=reason,
        before=fix.before,
        after=fix.after,
    )
