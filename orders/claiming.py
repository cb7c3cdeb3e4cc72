"""Claim an order for sending: the one step after which it may leave, and the one place where it can be stopped."""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from broker.models import Account
from orders.chain_models import may_leave
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order, OrderEvent
from orders.querysets import due_for_sending, unbatched
from work import correlation
from work.holders import this_process

log = logging.getLogger(__name__)


def claim(*, order_id: int, now: datetime) -> Order | None:
    """Take the order for this process, or return None because it may not be sent, or not by us.

    Everything that decides stands in the UPDATE itself: what changed after the last look still counts. The order's
    own columns are conditions of the row, not of a sub-query, since PostgreSQL checks only those again when it had
    to wait for another claim.
    """
    mine = Order.objects.filter(
        due_for_sending(now),
        may_leave(now),
        Q(batch__in=Batch.objects.sending(now).values("pk")) | unbatched(now),
        pk=order_id,
        submission_state=SubmissionState.RECORDED,
        account__in=Account.objects.filter(is_active=True, sending_halted=False).values("pk"),
    )
    with transaction.atomic():
        claimed = mine.update(
            submission_state=SubmissionState.SUBMITTING,
            claimed_by=this_process(),
            claimed_at=now,
            send_count=F("send_count") + 1,
            not_before=None,
            refusal="",
            unconfirmed_at=None,
            lookup_count=0,
            looked_up_at=None,
        )
        if not claimed:
            return None
        order = Order.objects.get(pk=order_id)
        text = f"Sending, attempt {order.send_count}."
        OrderEvent.objects.create(order=order, at=now, kind="claimed", text=text, actor="system:send")
    with correlation.carrying(order.correlation_id):
        log.info("order %s %s claimed, attempt %s", order.pk, order.client_order_id, order.send_count)
    return order
