"""Who looks after a difference, and what people say about it. Neither repairs anything."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from audit import journal
from reconciliation.errors import ReconciliationError
from reconciliation.models import Drift, DriftComment

#: Whoever may decide that a difference is left as it is may also look after it: the groups ops and admin.
PERMISSION = "reconciliation.ignore_drift"
LONGEST_COMMENT = 1000


def people_who_may() -> "QuerySet[User]":
    """The active people to whom a difference can be assigned."""
    backend = "django.contrib.auth.backends.ModelBackend"
    return User.objects.with_perm(PERMISSION, backend=backend).order_by("username")


def assign_drift(*, drift: Drift, to: str, was: str, actor: str, now: datetime) -> Drift:
    """Give a cause to a person by username, or to nobody by the empty text.

    `was` is whose it was on the screen: of two people who take it at the same time, one is told of the other.
    """
    if drift.cause_id is not None:
        raise ReconciliationError("It follows from another difference: assign that one.")
    if to and not people_who_may().filter(username=to).exists():
        raise ReconciliationError(f"{to} is no active person who may look after differences.")
    with transaction.atomic():
        live = Drift.objects.filter(pk=drift.pk).exclude(state=Drift.State.RESOLVED)
        if not live.filter(assigned_to=was).update(assigned_to=to):
            drift.refresh_from_db()
            raise ReconciliationError(_why_not(drift))
        if to != was:
            journal.record(
                at=now,
                actor=actor,
                action="drift.assigned",
                account=drift.account.slug,
                subject_type="drift",
                subject_id=drift.pk,
                summary=f"{f'Assigned to {to}' if to else 'Assigned to nobody'}: {drift.sentence}",
                before={"assigned_to": was},
                after={"assigned_to": to},
            )
    drift.refresh_from_db()
    return drift


def _why_not(drift: Drift) -> str:
    if drift.state == Drift.State.RESOLVED:
        return "It is resolved by now."
    return f"It was assigned to {drift.assigned_to or 'nobody'} just now. Look again."


def comment_on_drift(*, drift: Drift, text: str, actor: str, now: datetime) -> DriftComment:
    """Add what a person has to say about a difference. It is never changed or taken away."""
    text = text.strip()
    if not text:
        raise ReconciliationError("The comment is empty.")
    if len(text) > LONGEST_COMMENT:
        raise ReconciliationError(f"A comment has at most {LONGEST_COMMENT:,} characters; this has {len(text):,}.")
    with transaction.atomic():
        comment = DriftComment.objects.create(drift=drift, at=now, author=actor, text=text)
        journal.record(
            at=now,
            actor=actor,
            action="drift.commented",
            account=drift.account.slug,
            subject_type="drift",
            subject_id=drift.pk,
            summary=f"Commented: {text}",
        )
    return comment
