"""What was held back because a channel had its number for the hour goes out together."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from alerts import wording
from alerts.models import Channel, Delivery
from alerts.noting import WINDOW, record
from alerts.telling import Purpose

#: From the first message that is held back to the summary: what else comes in one storm is in it.
GATHERED_FOR = timedelta(minutes=10)


class _Moved(Exception):
    """Another process sums them up."""


def sum_up(now: datetime) -> int:
    """Record the summaries that are due, at most one an hour for each channel; return how many."""
    held = Delivery.objects.filter(state=Delivery.State.HELD)
    channels = Channel.objects.filter(is_on=True, pk__in=held.order_by().values("channel"))
    return sum(_sum_up(channel, now) for channel in channels)


def _sum_up(channel: Channel, now: datetime) -> bool:
    mine = Delivery.objects.filter(channel=channel, state=Delivery.State.HELD)
    rows = list(mine.order_by("created_at", "id").values_list("pk", "created_at", "title", "body"))
    lately = Delivery.objects.filter(channel=channel, purpose=Purpose.SUMMARY, created_at__gt=now - WINDOW)
    if not rows or now - rows[0][1] < GATHERED_FOR or lately.exists():
        return False
    message = wording.summary([(title, body) for _pk, _at, title, body in rows], site_url=settings.SITE_URL)
    try:
        with transaction.atomic():
            taken = mine.filter(pk__in=[row[0] for row in rows])
            if taken.update(state=Delivery.State.SUMMED_UP, ended_at=now) != len(rows):
                raise _Moved
            record(channel, message, purpose=Purpose.SUMMARY, now=now)
    except _Moved:
        return False
    return True
