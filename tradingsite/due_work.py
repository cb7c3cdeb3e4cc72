"""All work that is due anywhere, found in the rows."""

from datetime import datetime

import orders.due_work
import positions.due_work
import reconciliation.due_work


def queue_due_work(now: datetime) -> int:
    """Queue what is due, each under a name that is not queued twice at a time; return how much was queued."""
    return sum(found.queue_due_work(now) for found in (orders.due_work, positions.due_work, reconciliation.due_work))
