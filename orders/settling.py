"""Settle what is not known: did an order reach Alpaca or not?

A claim whose worker is dead becomes UNCONFIRMED. An UNCONFIRMED order is looked up by its client_order_id: found
means confirmed. Not found is no proof, only many times over a long enough while; then a young order is sent again
under the same id, which Alpaca refuses should the first one be there after all, and an old one is NOT_PLACED, for a
person to decide. A look-up that fails counts for nothing.
"""

import logging
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F

from broker.errors import BrokerError, NotFound
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from orders.booking import book_facts
from orders.finishing import finish_batch
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order, OrderEvent
from orders.patience import until_written
from work.holders import is_gone

log = logging.getLogger(__name__)
ACTOR = "system:settle"
_LONGEST_PAUSE_SECONDS = 30.0


def settle_orders(*, account_id: int, now: datetime) -> None:
    """Give up dead claims, look up what is due, and finish the batches of which nothing is in flight any more."""
    for order in Order.objects.submitting().filter(account_id=account_id):
        if is_abandoned(order, now):
            until_written(partial(_give_up, order, now))
    due = [order for order in Order.objects.unconfirmed().filter(account_id=account_id) if is_due(order, now)]
    if due:
        _look_up_all(account_id, due, now)
    for batch_id in over_but_not_finished(account_id):
        until_written(partial(finish_batch, batch_id=batch_id, now=now))


def is_abandoned(order: Order, now: datetime) -> bool:
    """True when nobody can be waiting for its answer any more."""
    lease = timedelta(seconds=settings.CLAIM_LEASE_SECONDS)
    return order.claimed_at is None or order.claimed_at < now - lease or is_gone(order.claimed_by)


def is_due(order: Order, now: datetime) -> bool:
    """Look-ups are spaced wider each time that nothing was found: 1, 2, 4, 8 … seconds."""
    if order.looked_up_at is None:
        return True
    pause = min(2.0**order.lookup_count, _LONGEST_PAUSE_SECONDS)
    return order.looked_up_at <= now - timedelta(seconds=pause)


def over_but_not_finished(account_id: int) -> list[int]:
    """Return batches of which nothing is in flight, though nobody noted it: their worker died before."""
    live = Batch.objects.filter(
        account_id=account_id, state__in=(Batch.State.RELEASED, Batch.State.HALTED), finished_at__isnull=True
    )
    in_flight = Order.objects.in_flight().filter(account_id=account_id, batch__isnull=False)
    return list(live.exclude(pk__in=in_flight.values("batch_id")).values_list("pk", flat=True))


def _give_up(order: Order, now: datetime) -> None:
    with transaction.atomic():
        claim = Order.objects.submitting().filter(pk=order.pk, send_count=order.send_count)
        if not claim.update(submission_state=SubmissionState.UNCONFIRMED, unconfirmed_at=now):
            return
        _tell(order, "unconfirmed", "Whoever was sending it is gone: it may or may not be at Alpaca.", now)


def _look_up_all(account_id: int, due: list[Order], now: datetime) -> None:
    try:
        gateway = open_gateway(Account.objects.get(pk=account_id))
        for order in due:
            _look_up(gateway, order, now)
    except BrokerError as error:
        log.warning("%s orders stay unconfirmed, the look-up failed: %s", len(due), error)


def _look_up(gateway: Gateway, order: Order, now: datetime) -> None:
    """Ask once. Of two sweeps only one asks, so that one moment does not count twice."""
    unasked = Order.objects.unconfirmed().filter(
        pk=order.pk, send_count=order.send_count, looked_up_at=order.looked_up_at
    )
    if not until_written(partial(unasked.update, looked_up_at=now)):
        return
    order.looked_up_at = now
    try:
        facts = gateway.get_order_by_client_id(order.client_order_id)
    except NotFound:
        until_written(partial(_note_absence, order, now))
    else:
        until_written(partial(book_facts, order_id=order.pk, facts=facts, now=now, actor=ACTOR))


def _note_absence(order: Order, now: datetime) -> None:
    with transaction.atomic():
        mine = Order.objects.unconfirmed().filter(pk=order.pk, send_count=order.send_count, looked_up_at=now)
        if not mine.update(lookup_count=F("lookup_count") + 1):
            return
        order.refresh_from_db()
        count = order.lookup_count
        if not _is_proven_absent(order, now):
            _tell(order, "looked_up", f"Look-up {count} found nothing, which is no proof yet.", now)
        elif _may_be_sent_again(order, now):
            mine.update(submission_state=SubmissionState.RECORDED, not_before=None)
            _tell(order, "recorded", f"Not at Alpaca after {count} look-ups: to be sent again under the same id.", now)
        else:
            text = f"Not at Alpaca after {count} look-ups, and too old to be sent again by itself."
            mine.update(submission_state=SubmissionState.NOT_PLACED, refusal=text)
            _tell(order, "not_placed", text, now)


def _is_proven_absent(order: Order, now: datetime) -> bool:
    waited = timedelta(seconds=settings.NOT_PLACED_AFTER_SECONDS)
    enough = order.lookup_count >= settings.NOT_PLACED_LOOKUPS
    return enough and order.unconfirmed_at is not None and now - order.unconfirmed_at >= waited


def _may_be_sent_again(order: Order, now: datetime) -> bool:
    batch = order.batch
    if batch is None or batch.state != Batch.State.RELEASED:
        return False
    wanted_at = max(order.recorded_at, batch.released_at or order.recorded_at)
    return now - wanted_at <= timedelta(seconds=settings.RESEND_WITHIN_SECONDS)


def _tell(order: Order, kind: str, text: str, now: datetime) -> None:
    OrderEvent.objects.create(order=order, at=now, kind=kind, text=text, actor=ACTOR)
    log.warning("order %s %s: %s", order.pk, order.client_order_id, text)
