"""Send the protective orders that were recorded: look at the position first, then claim → one POST → confirm.

Between wanting a stop and sending it minutes may pass, or hours while sending is halted. A stop for shares that are
sold by now would open a position, and one beyond the market would sell at once: both are denied, not sent.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from broker.errors import BrokerError, NotFound
from broker.gateway import Gateway, open_gateway
from orders.following import look
from orders.lifecycle import TRANSITIONAL_STATUSES, SubmissionState
from orders.models import Order, OrderEvent
from orders.outcomes import Later
from orders.patience import until_written
from orders.protecting import reason_against
from orders.querysets import due_for_sending
from orders.sending import send_one
from orders.settling import settle_orders
from work import leases

log = logging.getLogger(__name__)
ACTOR = "system:send"
_LEASE_SECONDS = 60.0
_PAUSES = (0.05, 0.15, 0.3, 0.5)


def has_protection_to_send(account_id: int, now: datetime) -> bool:
    mine = Order.objects.filter(account_id=account_id)
    return mine.protective_to_send(now).exists() or mine.protective_unsent_too_long(now).exists()


def send_protection(
    *,
    account_id: int,
    now: datetime,
    clock: Callable[[], datetime] = timezone.now,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Send every protective order of the account that is due; what cannot be sent now stays in its row."""
    if not has_protection_to_send(account_id, now):
        return
    lease = f"protect:{account_id}"
    with leases.holding(lease, seconds=_LEASE_SECONDS) as taken:
        if taken:
            _deny_outdated(account_id, now)
            sent = _send_due(account_id, lease, clock)
            _follow_closely(sent, clock, sleep)
    if Order.objects.unconfirmed().filter(account_id=account_id, batch__isnull=True).exists():
        settle_orders(account_id=account_id, now=clock())


def _send_due(account_id: int, lease: str, clock: Callable[[], datetime]) -> list[int]:
    """Return the ids of the orders that were looked at."""
    due = list(Order.objects.filter(account_id=account_id).protective_to_send(clock()).order_by("pk"))
    if not due:
        return []
    try:
        gateway = open_gateway(due[0].account)
        for order in due:
            gateway.await_room()
            later = _send(gateway, order, clock)
            if later is not None:
                _hold(account_id, later, clock())
                break
            if not until_written(lambda: leases.renew(lease, seconds=_LEASE_SECONDS, now=clock())):
                break
    except BrokerError as error:  # nothing was claimed
        _hold(account_id, Later.after(error), clock())
    return [order.pk for order in due]


def _follow_closely(sent: list[int], clock: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
    """Alpaca answers while an order is still between states: look until it is live, or leave it to the sweep."""
    moving = Order.objects.filter(pk__in=sent, status__in=TRANSITIONAL_STATUSES).select_related("account")
    for pause in _PAUSES:
        orders = list(moving.all())
        if not orders:
            return
        sleep(pause)
        if not look(account=orders[0].account, orders=orders, now=clock()):
            return


def _send(gateway: Gateway, order: Order, clock: Callable[[], datetime]) -> Later | None:
    try:
        position = gateway.get_position(order.symbol)
    except NotFound:
        position = None
    reason = reason_against(order, position)
    if reason:
        until_written(partial(_deny, order.pk, reason, clock()))
        return None
    return send_one(gateway, order.pk, clock)


def _deny_outdated(account_id: int, now: datetime) -> None:
    for order in Order.objects.filter(account_id=account_id).protective_unsent_too_long(now):
        until_written(partial(_deny, order.pk, "It could not be sent for half a day; look at the position anew.", now))


def _deny(order_id: int, reason: str, now: datetime) -> None:
    with transaction.atomic():
        unsent = Order.objects.filter(pk=order_id, submission_state=SubmissionState.RECORDED)
        if unsent.update(submission_state=SubmissionState.DENIED, refusal=reason[:500], not_before=None):
            event = {"kind": "denied", "text": f"Not sent: {reason}"[:500], "actor": ACTOR}
            OrderEvent.objects.create(order_id=order_id, at=now, **event)
            log.warning("protective order %s is not sent: %s", order_id, reason)


def _hold(account_id: int, later: Later, now: datetime) -> None:
    waiting = Order.objects.filter(
        due_for_sending(now),
        account_id=account_id,
        batch__isnull=True,
        origin=Order.Origin.PROTECTION,
        submission_state=SubmissionState.RECORDED,
    )
    until = now + timedelta(seconds=later.seconds)
    until_written(partial(waiting.update, not_before=until, refusal=later.text[:500]))
    log.warning("protective orders of account %s wait %.0f s: %s", account_id, later.seconds, later.text)
