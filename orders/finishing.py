"""Note that a batch is over: the sending of each of its orders is settled, one way or the other."""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from orders.booking import let_positions_follow
from orders.lifecycle import IN_FLIGHT
from orders.models import Batch, Order

log = logging.getLogger(__name__)


def finish_batch(*, batch_id: int, now: datetime) -> bool:
    """Mark the batch finished if nothing of it is in flight; True when this call did it.

    A halted batch stays halted, but what was sent of it has an end too, after which it is reconciled. Positions follow
    the batch's orders at its end once more: whoever sent them may have died before he let them.
    """
    with transaction.atomic():
        return _finish(batch_id, now)


def _finish(batch_id: int, now: datetime) -> bool:
    in_flight = Order.objects.filter(batch=OuterRef("pk"), submission_state__in=IN_FLIGHT)
    over = Batch.objects.filter(~Exists(in_flight), pk=batch_id, finished_at__isnull=True)
    finished = over.filter(state=Batch.State.RELEASED).update(state=Batch.State.FINISHED, finished_at=now)
    ended = over.filter(state=Batch.State.HALTED).update(finished_at=now)
    if finished:
        log.info("batch %s finished", batch_id)
    if finished or ended:
        batch = Batch.objects.select_related("account").get(pk=batch_id)
        if symbols := set(batch.orders.order_by().values_list("symbol", flat=True)):
            let_positions_follow(account=batch.account, symbols=symbols, now=now)
    return bool(finished or ended)
