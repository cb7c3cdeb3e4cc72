"""Approve fixes. Approving is a decision; applying is done from the row by whoever gets to it first."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from audit import journal
from reconciliation.errors import FixRefused
from reconciliation.models import Fix


def approve_fixes(
    *, fixes: Iterable[Fix], actor: str, now: datetime, fingerprints: dict[int, str] | None = None
) -> list[Fix]:
    """Approve each fix that is still as it was shown; return those that this call approved.

    `fingerprints` are those of the pictures that the person saw, by fix id. A second approval of the same fix,
    by anyone, changes nothing and is not an error. Raises FixRefused for a fix that is void or was re-made.
    """
    fixes = list(fixes)
    for fix in fixes:
        _refuse_unfit(fix, fingerprints)
    return [fix for fix in fixes if _approve(fix, actor, now)]


def _refuse_unfit(fix: Fix, fingerprints: dict[int, str] | None) -> None:
    seen = (fingerprints or {}).get(fix.pk, fix.fingerprint)
    if seen != fix.fingerprint:
        raise FixRefused(f"Fix {fix.pk} changed since it was shown to you. Look at the new picture first.")
    if fix.state in {Fix.State.STALE, Fix.State.WITHDRAWN, Fix.State.FAILED, Fix.State.UNDONE}:
        raise FixRefused(f"Fix {fix.pk} is {fix.get_state_display().lower()}. {fix.outcome}".strip())


def _approve(fix: Fix, actor: str, now: datetime) -> bool:
    with transaction.atomic():
        approved = Fix.objects.filter(pk=fix.pk, state=Fix.State.PROPOSED, fingerprint=fix.fingerprint).update(
            state=Fix.State.APPROVED, approved_at=now, approved_by=actor
        )
        if approved:
            journal.record(
                at=now,
                actor=actor,
                action="fix.approved",
                account=fix.account.slug,
                subject_type="fix",
                subject_id=fix.pk,
                summary=f"Approved: {fix.title}",
                before=fix.before,
                after=fix.after,
            )
    fix.refresh_from_db()
    return approved == 1
