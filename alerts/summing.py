"""What was held back because a channel had its number for the hour goes out together."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from alerts import wording
from alerts.kinds import RANK
from alerts.models import Alert, Channel, Delivery
from alerts.noting import WINDOW, record
from alerts.telling import Purpose
from reconciliation.kinds import Severity

#: From the first message that is held back to the summary: what else comes in one storm is in it.
GATHERED_FOR = timedelta(minutes=10)


class _Moved(Exception):
    """Another process sums them up."""


def sum_up(now: datetime) -> int:
    """Record the summaries that are due, at most one an hour for each channel; return how many."""
    return sum(_sum_up(channel, now) for channel in Channel.objects.filter(is_on=True))


def _sum_up(channel: Channel, now: datetime) -> bool:
    mine = Delivery.objects.filter(channel=channel, state=Delivery.State.HELD)
    rows = list(mine.select_related("alert").order_by("created_at", "id"))
    lately = Delivery.objects.filter(channel=channel, purpose=Purpose.SUMMARY, created_at__gt=now - WINDOW)
    if not rows or now - rows[0].created_at < GATHERED_FOR or lately.exists():
        return False
    gravest_first = sorted(rows, key=lambda row: -RANK[Severity(row.severity)] if row.severity else 0)
    message = wording.summary([(_title(row), row.body) for row in gravest_first], site_url=settings.SITE_URL)
    try:
        with transaction.atomic():
            taken = mine.filter(pk__in=[row.pk for row in rows])
            if taken.update(state=Delivery.State.SUMMED_UP, ended_at=now) != len(rows):
                raise _Moved
            record(channel, message, purpose=Purpose.SUMMARY, now=now)
    except _Moved:
        return False
    return True


def _title(held: Delivery) -> str:
    """Of a trouble that nobody had heard of when it ended no other message tells that it did."""
    is_over = held.alert is not None and held.alert.state == Alert.State.CLOSED and held.purpose != Purpose.RESOLVED
    return f"{held.title}, over meanwhile" if is_over else held.title
