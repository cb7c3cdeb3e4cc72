"""Hand work to django-q2 without piling it up.

django-q2 delivers; it is never the truth. Whoever finds due work in the rows queues it here under a name. While
that name was queued a short while ago it is not queued again; if the delivery is lost, the name expires and the
next look at the rows queues it anew. A delivery may come twice: every task must bear that.
"""

import logging
from datetime import datetime

from django.db import Error as DatabaseError
from django_q.tasks import async_task

from work import leases

#: A delivery that has not started by then counts as lost.
LOST_AFTER_SECONDS = 10.0

logger = logging.getLogger(__name__)


def enqueue_once(name: str, function: str, *args: object, now: datetime) -> bool:
    """Queue `function(*args)` unless `name` was queued within the last seconds. Call it outside transactions.

    A queue on another server may be away: the act that the rows hold already does not fail for it, and the next
    look at them tries again.
    """
    if not leases.take(f"queued:{name}", seconds=LOST_AFTER_SECONDS, now=now, holder="queue"):
        return False
    try:
        async_task(function, *args, task_name=name[:100])
    except DatabaseError:
        raise
    except Exception as error:  # whatever the queue's client raises
        logger.warning("%s could not be queued and is found in the rows later: %s", name, error)
        return False
    return True


def mark_started(name: str) -> None:
    """The delivery arrived: the name may be queued again."""
    leases.give_back(f"queued:{name}", holder="queue")


def rest(name: str, *, seconds: float, now: datetime) -> None:
    """What failed for a reason outside is not tried again at once: the name may be queued again after `seconds`."""
    leases.take(f"queued:{name}", seconds=seconds, now=now, holder="queue")
