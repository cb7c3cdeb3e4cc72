"""What becomes of the deliveries that a cluster had in hand when it died."""

import logging
from collections.abc import Mapping
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django_q.brokers import get_broker
from django_q.models import OrmQ

from work.clusters import SHARED_QUEUE, is_own_queue, queue_of
from work.heartbeat import living_clusters
from work.models import DroppedDelivery

#: A delivery in whose hands the cluster died this often is dropped; the rows bring its work back in due time.
DEADLY_AFTER = 3

logger = logging.getLogger(__name__)


def drop(deadly: Mapping[int, int], *, now: datetime) -> None:
    """Deliver these no more, and note it where alerts look: `deadly` has the number of deaths of each."""
    for row in OrmQ.objects.filter(pk__in=deadly):
        name, function, deaths = str(row.name() or "?"), str(row.func() or ""), deadly[row.pk]
        with transaction.atomic():
            if row.delete()[0]:
                DroppedDelivery.objects.create(name=name[:100], function=function[:256], at=now, deaths=deaths)
        logger.error("ticker: task %s saw %d clusters die and is dropped", name, deaths)


def give_back(queue: str, *, now: datetime) -> int:
    """Let all clusters take what one of them had in hand, or was meant for it alone."""
    if settings.Q_BROKER != "orm":
        get_broker(queue).delete_queue()  # there is nothing but heartbeats in it
        return 0
    number: int = OrmQ.objects.filter(key=queue).update(key=SHARED_QUEUE, lock=now)
    return number


def give_back_of_the_dead(now: datetime, *, own: str) -> int:
    """Take over from clusters that nobody hears of any more: their host may be gone. Return how many deliveries.

    Should such a cluster live after all, cut off from the database, something is done twice, which every task bears.
    """
    found = set(OrmQ.objects.exclude(key__in=(own, SHARED_QUEUE)).values_list("key", flat=True).distinct())
    if not found:
        return 0
    living = {queue_of(cluster) for cluster in living_clusters(now)}
    number = sum(give_back(queue, now=now) for queue in found if is_own_queue(queue) and queue not in living)
    if number:
        logger.warning("ticker: %d tasks of a worker that gives no sign of life are given to others", number)
    return number
