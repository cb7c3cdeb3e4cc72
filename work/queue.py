"""Hand work to django-q2 without piling it up.

django-q2 delivers; it is never the truth. Whoever finds due work in the rows queues it here under a name. While
that name was queued a short while ago it is not queued again; if the delivery is lost, the name expires and the
next look at the rows queues it anew. A delivery may come twice: every task must bear that.
"""

from datetime import datetime

from django_q.tasks import async_task

from work import leases

#: A delivery that has not started by then counts as lost.
LOST_AFTER_SECONDS = 10.0


def enqueue_once(name: str, function: str, *args: object, now: datetime) -> bool:
    """Queue `function(*args)` unless `name` was queued within the last seconds. Call it outside transactions."""
    if not leases.take(f"queued:{name}", seconds=LOST_AFTER_SECONDS, now=now, holder="queue"):
        return False
    async_task(function, *args, task_name=name[:100])
    return True


def mark_started(name: str) -> None:
    """The delivery arrived: the name may be queued again."""
    leases.give_back(f"queued:{name}", holder="queue")


def rest(name: str, *, seconds: float, now: datetime) -> None:
    """What failed for a reason outside is not tried again at once: the name may be queued again after `seconds`."""
    leases.take(f"queued:{name}", seconds=seconds, now=now, holder="queue")
