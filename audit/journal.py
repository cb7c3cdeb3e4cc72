"""Write to the audit journal."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from audit.models import AuditEntry

#: Who knows under which correlation id this thread works right now; the last one is asked. See `work.correlation`.
correlation_sources: list[Callable[[], str]] = []


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
    correlation_id: str = "",
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
        correlation_id=correlation_id or (correlation_sources[-1]() if correlation_sources else ""),
    )
