"""Find in the rows which positions lack their exits, and queue it. Run all the time."""

from datetime import datetime

from broker.models import Account
from positions.protecting import has_positions_to_protect
from work.queue import enqueue_once


def queue_due_work(now: datetime) -> int:
    """Queue one task for each account with a step to take; return how many were queued."""
    return sum(
        enqueue_once(f"exits:{account.pk}", "positions.tasks.protect_positions_task", account.pk, now=now)
        for account in Account.objects.active()
        if has_positions_to_protect(account, now)
    )
