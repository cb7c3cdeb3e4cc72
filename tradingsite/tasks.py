"""The tasks of the installation itself."""

from django.utils import timezone

from work.heartbeat import beat


def heartbeat() -> None:
    """Show that the queue delivers to this cluster and that one of its workers works."""
    beat("worker", now=timezone.now())
