"""Which cluster of workers a process belongs to, and the queue that only this cluster takes from.

A cluster is named after the process of `manage.py worker` that keeps it, so it has one name through all the
django-q2 clusters that its watchdog replaces.
"""

import hashlib
import os

from work.holders import this_process

#: The worker command hands its name down in it.
ENVIRONMENT_NAME = "WORKER_IDENTITY"
SHARED_QUEUE = "trading"
_MARK = f"{SHARED_QUEUE}@"


def named_cluster() -> str:
    """Return the cluster that this process works in; empty outside of any."""
    return os.environ.get(ENVIRONMENT_NAME, "")


def this_cluster() -> str:
    """Return the cluster that this process works in or keeps."""
    return named_cluster() or this_process()


def queue_of(cluster: str) -> str:
    """Return the name of the cluster's own queue: what is addressed to it, and what it has in hand."""
    return f"{_MARK}{hashlib.sha256(cluster.encode()).hexdigest()[:16]}"


def is_own_queue(name: str) -> bool:
    return name.startswith(_MARK)
