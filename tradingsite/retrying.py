"""Queue a failed task again, once, by name."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django_q.models import Failure
from django_q.tasks import async_task

from audit import journal


def retry_failure(*, failure_id: str, actor: str, now: datetime) -> Failure | None:
    """Queue the task again and take it off the list of failures; None if somebody did so already.

    Every task bears to come twice. Should this process die before the task is queued, its work is found in the rows.
    """
    failure = Failure.objects.filter(pk=failure_id).first()
    if failure is None:
        return None
    func, args, kwargs, name = failure.func, failure.args or (), failure.kwargs or {}, failure.name
    with transaction.atomic():
        deleted, _ = Failure.objects.filter(pk=failure_id).delete()
        if not deleted:
            return None
        journal.record(
            at=now,
            actor=actor,
            action="task.retried",
            subject_type="task",
            subject_id=failure_id,
            summary=f"Queued again: {func} ({name})",
            before={"ended": failure.stopped.isoformat(), "result": str(failure.result or "")[:2000]},
        )
        # After the commit: the queue may lie on another host.
        transaction.on_commit(lambda: _queue(func, args, kwargs, name))
    return failure


def _queue(func: str, args: Any, kwargs: Any, name: str) -> None:
    async_task(func, *args, task_name=name[:100], **kwargs)
