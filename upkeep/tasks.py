"""What django-q2 runs for this package. Every task may come twice."""

import logging
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from audit.verifying import verify_chain
from upkeep.backing_up import make_backup, newest_backup_at
from upkeep.maintaining import maintain
from work import leases

log = logging.getLogger(__name__)
#: A backup takes seconds to minutes; the lease of a process that died is worth nothing anyway.
_LEASE_SECONDS = 600
#: A night's second delivery, or a second host with the same folder, has nothing to do.
_SAME_NIGHT_HOURS = 12


class JournalBrokenError(Exception):
    """The task fails with it, so that /system/ shows it until a person has looked."""


def nightly_proof() -> str:
    """Read the audit journal's whole chain before the night's backup is made of it."""
    found = verify_chain()
    if not found.is_proven:
        what = found.broken.sentence if found.broken else f"Triggers are missing: {', '.join(found.unguarded)}."
        log.error("audit journal BROKEN, head %s: %s", found.head, what)
        raise JournalBrokenError(f"The audit journal is not as it was written. {what} Run `manage.py verify_audit`.")
    log.info("audit journal proven, head %s", found.head)
    return f"{found.entries} entries proven, head {found.head}"


def nightly_backup() -> str:
    """Make the night's backup in BACKUP_DIR of whichever host runs this task."""
    now = timezone.now()
    with leases.holding("backup", seconds=_LEASE_SECONDS) as taken:
        if not taken:
            return "busy"
        newest = newest_backup_at(Path(settings.BACKUP_DIR))
        if newest is not None and (now - newest).total_seconds() < _SAME_NIGHT_HOURS * 3600:
            return "made already"
        return str(make_backup(to=None, now=now))


def nightly_maintenance() -> str:
    with leases.holding("maintain", seconds=_LEASE_SECONDS) as taken:
        if not taken:
            return "busy"
        return f"{maintain(now=timezone.now(), say=log.info)} rows deleted"
