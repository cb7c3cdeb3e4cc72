"""What the hosts of one installation must have in common, besides the database: the secret key and the time.

Sessions and queued tasks are signed by SECRET_KEY. A host with another one would log out whoever comes to it, and throw
away the tasks that it takes from the shared queue. Who runs notes the key's fingerprint under a lease, so a key is
changed by stopping everything first. Leases are judged by each host's own clock.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from work import leases

KEY_LEASE = "secret-key"
#: A worker that was cut off for shorter keeps the right to its key.
KEY_SECONDS = 120.0
#: Twice this between two hosts is less than what an execution's lease has left when it is renewed (11 s).
CLOCK_TOLERANCE = timedelta(seconds=5)


def disagreement(clock: Callable[[], datetime] = timezone.now) -> str:
    """Return what this host does not share with the others, as a sentence for people; empty if all is well.

    On SQLite there is one host, and its key lies beside the database.
    """
    if not _is_shared():
        return ""
    before, there, after = clock(), database_time(), clock()
    # The question took its time: the clock is wrong by at least so much.
    ahead = max(before - there, timedelta()) or min(after - there, timedelta())
    return _about_clock(ahead) or ("" if keep_key(now=after) else _ABOUT_KEY)


def _is_shared() -> bool:
    return connection.vendor == "postgresql"


_ABOUT_KEY = (
    "SECRET_KEY is not the one that the other hosts of this database run with. Set the same SECRET_KEY on every host; "
    f"to change it, stop all of them first and wait {KEY_SECONDS / 60:.0f} minutes."
)


def keep_key(*, now: datetime) -> bool:
    """Note our key as the one in use; False while others run with another one."""
    holder = f"key:{hashlib.sha256(settings.SECRET_KEY.encode()).hexdigest()[:16]}"
    renewed = leases.renew(KEY_LEASE, seconds=KEY_SECONDS, now=now, holder=holder)
    if renewed or leases.take(KEY_LEASE, seconds=KEY_SECONDS, now=now, holder=holder):
        return True
    return leases.renew(KEY_LEASE, seconds=KEY_SECONDS, now=now, holder=holder)  # another one of ours was quicker


def database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def _about_clock(ahead: timedelta) -> str:
    if abs(ahead) <= CLOCK_TOLERANCE:
        return ""
    seconds = ahead.total_seconds()
    way = "ahead of" if seconds > 0 else "behind"
    return (
        f"The clock of this host is {abs(seconds):.0f} s {way} the database's. Hosts "
        "that share work need the same time: let chrony or systemd-timesyncd set the clock, then start again."
    )
