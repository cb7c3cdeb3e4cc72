"""Write to the audit journal."""

from datetime import datetime
from typing import Any

from audit.models import AuditEntry


def record(
    *,
    at: datetime,
    actor: str,
    action: str,
    summary: str,
    account: str = "",
    subject_type: str = "",
    subject_id: object = "",
    reason: str = "",
    before: Any = None,
    after: Any = None,
) -> AuditEntry:
    """Add one entry. Call it inside the transaction of the act: then neither exists without the other."""
    return AuditEntry.objects.create(
        at=at,
        actor=actor,
        action=action,
        summary=summary[:500],
        account=account,
        subject_type=subject_type,
        subject_id=str(subject_id),
        reason=reason,
        before=before,
        after=after,
    )
