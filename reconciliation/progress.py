"""Tell the people who wait how far a run is, and keep its lease alive meanwhile."""

import time

from django.utils import timezone

from reconciliation.errors import IncompleteRead
from reconciliation.models import Run
from work import leases

SECONDS_BETWEEN_NOTES = 1.0


class ProgressNote:
    """Called with the name of a step and the rows read so far; writes at most once a second."""

    def __init__(self, *, run: Run, lease: str, lease_seconds: float) -> None:
        self._run = run
        self._lease = lease
        self._lease_seconds = lease_seconds
        self._written_at = time.monotonic()

    def __call__(self, step: str, rows: int) -> None:
        if time.monotonic() - self._written_at < SECONDS_BETWEEN_NOTES:
            return
        self._written_at = time.monotonic()
        if not leases.renew(self._lease, seconds=self._lease_seconds, now=timezone.now()):
            raise IncompleteRead("Another process took over this account while it was being read.")
        self._run.progress = {**self._run.progress, step: rows, "step": step}
        Run.objects.filter(pk=self._run.pk).update(progress=self._run.progress)
