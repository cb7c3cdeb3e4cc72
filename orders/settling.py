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
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from broker.errors import BrokerError, NotFound
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from orders.booking import book_facts
from orders.errors import OrdersError
from orders.finishing import finish_batch
from orders.halting import deny_unsent
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order, OrderEvent
from orders.patience import until_written
from work import correlation, leases
from work.holders import is_gone

log = logging.getLogger(__name__)
ACTOR = "system:settle"
_LONGEST_PAUSE_SECONDS = 30.0
#: Longer than one look-up of a hanging Alpaca takes.
_LEASE_SECONDS = 60.0
#: A moment that lies this far ahead was not noted by a clock that went right.
_CLOCK_IS_WRONG = timedelta(minutes=1)


def settle_orders(*, account_id: int, now: datetime) -> None:
    """Give up dead claims, look up what is due, and finish the batches of which nothing is in flight any more.

    One process at a time: while Alpaca hangs, sweep after sweep would otherwise wait for it until no worker is left.
    """
    if not has_unsettled(account_id, now):
        return
    with leases.holding(f"settle:{account_id}", seconds=_LEASE_SECONDS) as taken:
        if taken:
            _settle(account_id, now)


def _settle(account_id: int, now: datetime) -> None:
    for order in Order.objects.submitting().filter(account_id=account_id):
        if is_abandoned(order, now):
            with correlation.carrying(order.correlation_id):
                until_written(partial(_give_up, order, now))
    if due := _due(account_id, now):
        _look_up_all(account_id, due, now)
    for batch in Batch.objects.halted_with_waiting_orders().filter(account_id=account_id):
        until_written(partial(_deny_waiting, batch, now))
    for batch_id in over_but_not_finished(account_id):
        until_written(partial(finish_batch, batch_id=batch_id, now=now))


def has_unsettled(account_id: int, now: datetime) -> bool:
    if any(is_abandoned(order, now) for order in Order.objects.submitting().filter(account_id=account_id)):
        return True
    if _due(account_id, now) or over_but_not_finished(account_id):
        return True
    return Batch.objects.halted_with_waiting_orders().filter(account_id=account_id).exists()


def _due(account_id: int, now: datetime) -> list[Order]:
    """Return the orders to look up, the longest unasked first: one whose look-ups always fail holds up no other."""
    unconfirmed = Order.objects.unconfirmed().filter(account_id=account_id)
    return [
        order for order in unconfirmed.order_by(F("looked_up_at").asc(nulls_first=True), "pk") if is_due(order, now)
    ]


def is_abandoned(order: Order, now: datetime) -> bool:
    """True when nobody can be waiting for its answer any more."""
    if order.claimed_at is None or is_gone(order.claimed_by):
        return True
    lease = timedelta(seconds=settings.CLAIM_LEASE_SECONDS)
    return order.claimed_at < now - lease or order.claimed_at > now + max(lease, _CLOCK_IS_WRONG)


def is_due(order: Order, now: datetime) -> bool:
    """Look-ups are spaced wider each time that nothing was found, 1, 2, 4, 8 … seconds, and the longer it is unknown.

    A look-up in times to come was made while the clock was wrong.
    """
    if order.looked_up_at is None or order.looked_up_at > now + _CLOCK_IS_WRONG:
        return True
    age = (now - order.unconfirmed_at).total_seconds() if order.unconfirmed_at else 0.0
    pause = min(max(2.0 ** min(order.lookup_count, 10), age / 20), _LONGEST_PAUSE_SECONDS)
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


def _deny_waiting(batch: Batch, now: datetime) -> None:
    with transaction.atomic():
        denied = deny_unsent(batch, ACTOR, "Its batch was halted while it was under way, and it was not placed.", now)
    log.warning("batch %s is halted: %s orders that came back unsent are denied", batch.pk, denied)


def _look_up_all(account_id: int, due: list[Order], now: datetime) -> None:
    lease, asked = f"settle:{account_id}", 0
    try:
        gateway = open_gateway(Account.objects.get(pk=account_id))
        for order in due:
            asked += 1
            with correlation.carrying(order.correlation_id):
                _look_up(gateway, order, now)
            until_written(lambda: leases.renew(lease, seconds=_LEASE_SECONDS, now=timezone.now()))
    except BrokerError as error:
        # What was not asked for comes first next time; all of them if nobody could be asked.
        log.warning("%s orders stay unconfirmed, the look-up failed: %s", len(due) - max(asked - 1, 0), error)
        if not asked:
            pks = [order.pk for order in due]
            until_written(partial(Order.objects.unconfirmed().filter(pk__in=pks).update, looked_up_at=now))


def _look_up(gateway: Gateway, order: Order, now: datetime) -> None:
    """Ask once. Of two sweeps only one asks, so that one moment does not count twice."""
    unasked = Order.objects.unconfirmed().filter(
        pk=order.pk, send_count=order.send_count, looked_up_at=order.looked_up_at
    )
    since = order.unconfirmed_at or now
    since = now if since > now + _CLOCK_IS_WRONG else since  # the proof begins anew
    if not until_written(partial(unasked.update, looked_up_at=now, unconfirmed_at=since)):
        return
    order.looked_up_at, order.unconfirmed_at = now, since
    try:
        facts = gateway.get_order_by_client_id(order.client_order_id)
    except NotFound:
        until_written(partial(_note_absence, order, now))
        return
    try:
        until_written(partial(book_facts, order_id=order.pk, facts=facts, now=now, actor=ACTOR))
    except (OrdersError, IntegrityError):
        log.exception("order %s %s: what was found could not be booked", order.pk, order.client_order_id)


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
    if batch is None:
        if order.origin != Order.Origin.PROTECTION:
            return False
        wanted_at = order.recorded_at
    elif batch.state == Batch.State.RELEASED:
        wanted_at = max(order.recorded_at, batch.released_at or order.recorded_at)
    else:
        return False
    return now - wanted_at <= timedelta(seconds=settings.RESEND_WITHIN_SECONDS)


def _tell(order: Order, kind: str, text: str, now: datetime) -> None:
    OrderEvent.objects.create(order=order, at=now, kind=kind, text=text, actor=ACTOR)
    log.warning("order %s %s: %s", order.pk, order.client_order_id, text)
