"""How long things are kept, declared once. What is not named here is kept for ever: above all orders, fills,
adjustments, runs, drifts, fixes and the journal."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.sessions.models import Session
from django.db.models import Model, Q
from django_q.models import Task

from alerts.models import Alert, Delivery
from signin.models import SharedCacheRow
from work.models import DroppedDelivery, Heartbeat, Lease

#: Rows deleted in one transaction: nobody waits for more.
AT_ONCE = 500
_ENDED = (Delivery.State.SENT, Delivery.State.SUMMED_UP, Delivery.State.FAILED)


@dataclass(frozen=True, slots=True)
class Retention:
    """`over` gives the rows that may go, for the moment before which they are old."""

    name: str
    model: type[Model]
    days: int
    over: Callable[[datetime], Q]


RETENTIONS = (
    Retention("sessions that are over", Session, 0, lambda old: Q(expire_date__lt=old)),
    Retention("limits that are over", SharedCacheRow, 0, lambda old: Q(expires__lt=old)),
    Retention("leases that nobody holds", Lease, 1, lambda old: Q(expires_at__lt=old)),
    Retention("signs of life of programs that are gone", Heartbeat, 1, lambda old: Q(at__lt=old)),
    Retention("deliveries that were dropped", DroppedDelivery, 180, lambda old: Q(at__lt=old)),
    Retention("results of tasks", Task, 30, lambda old: Q(stopped__lt=old)),
    Retention("log-ins that failed", AccessAttempt, 90, lambda old: Q(attempt_time__lt=old)),
    Retention("details of log-ins that failed", AccessFailureLog, 90, lambda old: Q(attempt_time__lt=old)),
    Retention("log-ins and log-outs", AccessLog, 365, lambda old: Q(attempt_time__lt=old)),
    Retention("messages that were sent", Delivery, 180, lambda old: Q(created_at__lt=old, state__in=_ENDED)),
    Retention("alerts that are over", Alert, 365, lambda old: Q(closed_at__lt=old)),
)


def delete_old(retention: Retention, *, now: datetime) -> int:
    """Delete in small transactions what has been kept long enough; return how many rows went."""
    manager = retention.model._base_manager
    old = manager.filter(retention.over(now - timedelta(days=retention.days)))
    gone = 0
    while keys := list(old.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        gone += manager.filter(pk__in=keys).delete()[1].get(retention.model._meta.label, 0)
    return gone
