"""Claim an order for sending: the one step after which it may leave, and the one place where it can be stopped."""

import logging
from datetime import datetime

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q

from broker.models import Account
from orders.chain_models import may_leave
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order
from orders.querysets import OrderQuerySet, due_for_sending, unbatched
from orders.time_line import add_events
from work import correlation
from work.holders import this_process
from work.statements import Blank, Compiled, Moment, Ready, Statement, compiled_update, field_of

log = logging.getLogger(__name__)


def claim(*, order_id: int, now: datetime) -> Order | None:
    """Take the order for this process, or return None because it may not be sent, or not by us."""
    mine = _claim.ready({"order_id": order_id, "now": now, "holder": this_process()})
    with transaction.atomic():
        order = _taken(mine, order_id)
        if order is None:
            return None
        add_events(order_id, ("claimed", f"Sending, attempt {order.send_count}."), now=now, actor="system:send")
    with correlation.carrying(order.correlation_id):
        log.info("order %s %s claimed, attempt %s", order.pk, order.client_order_id, order.send_count)
    return order


def _taken(mine: Ready, order_id: int) -> Order | None:
    """Return the order as it is after its claim. Older SQLites have to be asked for it."""
    if connection.features.can_return_columns_from_insert:
        return next(iter(mine.rows(Order)), None)
    return Order.objects.get(pk=order_id) if mine.run() else None


def claimable(*, order_id: int | Blank, now: Moment) -> OrderQuerySet:
    """The order, if it may be sent now.

    Everything that decides stands in the UPDATE itself: what changed after the last look still counts. The order's own
    columns are conditions of the row, not of a sub-query, since PostgreSQL checks only those again when it had to wait
    for another claim.
    """
    return Order.objects.filter(
        due_for_sending(now),
        may_leave(now),
        Q(batch__in=Batch.objects.sending(now).values("pk")) | unbatched(now),
        pk=order_id,
        submission_state=SubmissionState.RECORDED,
        account__in=Account.objects.filter(is_active=True, sending_halted=False).values("pk"),
    )


def claimed(*, holder: str | Blank, now: Moment) -> dict[str, object]:
    """What a claim writes."""
    return {
        "submission_state": SubmissionState.SUBMITTING,
        "claimed_by": holder,
        "claimed_at": now,
        "send_count": F("send_count") + 1,
        "not_before": None,
        "refusal": "",
        "unconfirmed_at": None,
        "lookup_count": 0,
        "looked_up_at": None,
    }


def _compiled(here: BaseDatabaseWrapper) -> Compiled:
    now = Blank("now", field_of(Order, "claimed_at"))
    mine = claimable(order_id=Blank("order_id", field_of(Order, "id")), now=now)
    columns = claimed(holder=Blank("holder", field_of(Order, "claimed_by")), now=now)
    return compiled_update(mine, here, columns, returns_rows=here.features.can_return_columns_from_insert)


_claim = Statement(Order, _compiled)
