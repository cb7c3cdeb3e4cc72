"""The tasks of the installation itself."""

from django.utils import timezone

from tradingsite.due_work import queue_due_work
from work.heartbeat import beat


def heartbeat() -> None:
    """Show that the queue delivers to this cluster and that one of its workers works."""
    beat("worker", now=timezone.now())


def find_due_work() -> str:
    """Once more what every ticker does twice a second: batches at their time, settling, runs after an execution."""
    return f"{queue_due_work(timezone.now())} tasks queued"
