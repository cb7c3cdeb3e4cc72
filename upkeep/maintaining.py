"""Let go of what has been kept long enough, and let the database tidy itself."""

import logging
from collections.abc import Callable
from datetime import datetime

from django.db import connection

from upkeep.retention import RETENTIONS, delete_old

log = logging.getLogger(__name__)
Say = Callable[[str], None]


def maintain(*, now: datetime, say: Say) -> int:
    """Return how many rows went. Safe while everything runs, and twice at once."""
    gone = 0
    for number, retention in enumerate(RETENTIONS, start=1):
        deleted = delete_old(retention, now=now)
        gone += deleted
        say(f"{number}/{len(RETENTIONS)} {retention.name}, older than {retention.days} days: {deleted:,} deleted")
    tidy(say)
    log.info("maintenance: %s rows deleted", gone)
    return gone


def tidy(say: Say) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Looks anew at tables that have changed much, so that the plans fit; then lets the log shrink.
            cursor.execute("PRAGMA analysis_limit = 1000")
            cursor.execute("PRAGMA optimize = 0x10002")
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            say("statistics brought up to date, log written back")
            return
        for table in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(f'VACUUM (ANALYZE, SKIP_LOCKED) "{table}"')
        say("every table vacuumed and analyzed")
