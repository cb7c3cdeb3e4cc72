"""Place a stop again where exits were cancelled for a pair of stop and target which then did not come.

From the rows, as soon as the pair is refused or given up and no cancel of it is under way; only for shares that no
exit at Alpaca holds: of several that were to be cancelled some may be open still. It is recorded once, with the note
that it is, and goes the way of every protective order.
"""

import logging
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet

from broker.decimals import plain
from broker.gateway import Gateway
from orders.chain_models import CancelFirst
from orders.chain_reading import open_exits, position_of
from orders.changing import BEFORE, UNDER_WAY
from orders.errors import OrdersError
from orders.held_shares import surely_free_qty
from orders.lifecycle import SubmissionState
from orders.models import Order, OrderChange, OrderEvent
from orders.patience import until_written
from orders.protecting import record_protection

log = logging.getLogger(__name__)
ACTOR = "system:send"
_REFUSED = (SubmissionState.DENIED, SubmissionState.REJECTED, SubmissionState.NOT_PLACED)


def stops_to_place_again(account_id: int) -> "QuerySet[CancelFirst]":
    refused = Q(order__submission_state__in=_REFUSED) | Q(order__status="rejected")
    ended = CancelFirst.objects.filter(refused, order__account_id=account_id, began_at__isnull=False)
    return ended.exclude(state=CancelFirst.State.CANCELLING).exclude(stop_again="")


def place_stops_again(gateway: Gateway, account_id: int, now: datetime) -> None:
    """Raises BrokerError when Alpaca could not be asked: it is looked at again."""
    for chain in stops_to_place_again(account_id).select_related("order__account"):
        wanted_for = f"{BEFORE}{chain.order_id}"
        cancels = OrderChange.objects.filter(account=chain.order.account, wanted_for=wanted_for)
        if cancels.filter(state__in=UNDER_WAY).exists():
            continue
        qty = _unguarded(gateway, chain.order)
        with suppress(OrdersError):  # something else is on its way: look again
            until_written(partial(_record, chain, qty=qty, wanted_for=wanted_for, now=now))


def _unguarded(gateway: Gateway, order: Order) -> Decimal:
    """How many of the shares no open exit holds; none while one is open and Alpaca does not say."""
    wanted = order.qty or Decimal(0)
    if not open_exits(gateway, order):
        return wanted
    position = position_of(gateway, order.symbol)
    return min(wanted, surely_free_qty(position)) if position is not None else Decimal(0)


def _record(chain: CancelFirst, *, qty: Decimal, wanted_for: str, now: datetime) -> None:
    order = chain.order
    with transaction.atomic():
        if not CancelFirst.objects.filter(pk=chain.pk).exclude(stop_again="").update(stop_again=""):
            return
        text = "Exits that are open at Alpaca still hold every share: no stop is placed again."
        if qty > 0:
            stop = record_protection(
                account=order.account,
                symbol=order.symbol,
                side=order.side,
                qty=qty,
                stop_price=Decimal(chain.stop_again),
                target_price=None,
                wanted_for=wanted_for,
                actor=ACTOR,
                now=now,
            )
            text = f"The stop at {chain.stop_again} is placed again for {plain(qty)}, as order {stop.pk}."
        OrderEvent.objects.create(order=order, at=now, kind="cancel_first", text=text, actor=ACTOR)
    log.warning("order %s: %s", order.pk, text)
