"""Ignore a drift for a while, for a reason, by name: it stays listed as ignored and comes back by itself."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from audit import journal
from broker.models import Account
from reconciliation.difference import Explained
from reconciliation.errors import ReconciliationError
from reconciliation.kinds import KINDS, Kind, Severity
from reconciliation.models import Drift


def ignore_drift(*, drift: Drift, actor: str, reason: str, until: datetime, now: datetime) -> Drift:
    """Ignore an open root drift and its consequences until a moment. Bad evidence cannot be ignored."""
    if KINDS[Kind(drift.kind)].group == "evidence":
        raise ReconciliationError("A read that proves nothing cannot be ignored: repair the reading.")
    if not reason.strip():
        raise ReconciliationError("Say why it may be ignored.")
    if until <= now:
        raise ReconciliationError("The end of ignoring lies in the past.")
    with transaction.atomic():
        changed = Drift.objects.filter(pk=drift.pk, state=Drift.State.OPEN).update(
            state=Drift.State.IGNORED, ignored_by=actor, ignored_reason=reason.strip()[:300], ignored_until=until
        )
        if changed:
            Drift.objects.filter(cause=drift, state=Drift.State.OPEN).update(state=Drift.State.IGNORED)
            journal.record(
                at=now,
                actor=actor,
                action="drift.ignored",
                account=drift.account.slug,
                subject_type="drift",
                subject_id=drift.pk,
                summary=f"Ignored until {until:%Y-%m-%d %H:%M} UTC: {drift.sentence}",
                reason=reason,
            )
    drift.refresh_from_db()
    return drift


def stop_ignoring(*, drift: Drift, actor: str, now: datetime) -> Drift:
    """Open an ignored root drift and its consequences again before its time. A second one changes nothing."""
    if drift.ignored_by_rule is not None:
        raise ReconciliationError(f"Ignore rule {drift.ignored_by_rule.pk} hides it: end or change that rule.")
    with transaction.atomic():
        ignored = Drift.objects.filter(state=Drift.State.IGNORED)
        changed = ignored.filter(pk=drift.pk, ignored_by_rule=None).update(
            state=Drift.State.OPEN, ignored_by="", ignored_reason="", ignored_until=None
        )
        if changed:
            ignored.filter(cause=drift).update(state=Drift.State.OPEN)
            journal.record(
                at=now,
                actor=actor,
                action="drift.ignoring_ended",
                account=drift.account.slug,
                subject_type="drift",
                subject_id=drift.pk,
                summary=f"No longer ignored: {drift.sentence}",
                before={"by": drift.ignored_by, "until": str(drift.ignored_until), "reason": drift.ignored_reason},
            )
    drift.refresh_from_db()
    return drift


def reopen_grown(*, account: Account, explained: Iterable[Explained]) -> None:
    """What a person ignored was not critical then. Once something critical follows from it, it is open again."""
    critical = {
        item.cause_key or item.difference.key
        for item in explained
        if KINDS[item.difference.kind].severity == Severity.CRITICAL
    }
    mine = Drift.objects.filter(account=account, state=Drift.State.IGNORED, ignored_by_rule=None).roots()
    for drift in mine.prefetch_related("consequences"):
        known = {drift.severity, *(follower.severity for follower in drift.consequences.all())}
        if drift.key in critical and Severity.CRITICAL not in known:
            drift.state, drift.ignored_by, drift.ignored_reason = Drift.State.OPEN, "", ""
            drift.ignored_until = None
            drift.save(update_fields=["state", "ignored_by", "ignored_reason", "ignored_until"])


def reopen_expired(*, account: Account, now: datetime) -> None:
    """Ignoring ends by time: what was ignored is open again before the run decides what to read."""
    ended = Q(ignored_until__lte=now) | Q(ignored_by_rule__expires_at__lte=now)
    expired = Drift.objects.filter(ended, account=account, state=Drift.State.IGNORED)
    Drift.objects.filter(cause__in=expired, state=Drift.State.IGNORED).update(state=Drift.State.OPEN)
    Drift.objects.filter(pk__in=list(expired.values_list("pk", flat=True))).update(state=Drift.State.OPEN)
