"""The tasks of the installation itself."""

from django.utils import timezone

from work.heartbeat import beat
from work.queue import mark_started


def heartbeat() -> None:
    """Show that the queue delivers and a worker works."""
    mark_started("heartbeat")
    beat("worker", now=timezone.now())
