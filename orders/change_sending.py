"""Send recorded cancels and replacements: look at the order, claim, one request, write down what it means.

Each is sent once. Whatever comes back but a certain "not sent" is settled by look-ups (change_settling.py): Alpaca's
yes is only a request taken, and its no has been given for orders that were replaced all the same.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial

from django.db import transaction
from django.utils import timezone

from broker.errors import BrokerError, BrokerNotConfigured, BrokerUnauthorized, NotFound, NotSent, RateLimited
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from broker.numbers import plain
from broker.types import BrokerOrder, Replacement
from orders.change_settling import TAKEN, end, settle_due, unsettled
from orders.changing import BEFORE, FLAT_ONLY, SEND_WITHIN, Action, State, due_to_send, in_words, tell
from orders.crash_points import reached
from orders.following import look
from orders.lifecycle import is_terminal
from orders.models import Order, OrderChange
from orders.patience import until_written
from work import leases
from work.holders import this_process

log = logging.getLogger(__name__)
ACTOR = "system:change"
_LEASE_SECONDS = 60.0
#: A cancel or replacement is done within moments: look a few times, then leave it to the sweep.
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.0)


def has_changes_to_carry_out(account_id: int, now: datetime) -> bool:
    mine = OrderChange.objects.filter(account_id=account_id)
    return (
        mine.filter(due_to_send(now)).exists()
        or mine.filter(state=State.RECORDED, requested_at__lte=now - SEND_WITHIN).exists()
        or bool(unsettled(account_id, now))
    )


def carry_out_changes(
    *,
    account_id: int,
    now: datetime,
    clock: Callable[[], datetime] = timezone.now,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Send what is due and look what became of it; what is not settled stays in its row for the next look."""
    if not has_changes_to_carry_out(account_id, now):
        return
    with leases.holding(f"change:{account_id}", seconds=_LEASE_SECONDS) as taken:
        if not taken:
            return
        try:
            gateway = open_gateway(Account.objects.get(pk=account_id))
            sent = _send_due(gateway, account_id, clock)
            settle_due(gateway, account_id, clock())
            for pause in _PAUSES if sent else ():
                if not OrderChange.objects.filter(account_id=account_id, state=State.UNCONFIRMED).exists():
                    break
                sleep(pause)
                settle_due(gateway, account_id, clock(), at_once=True)
            _follow_pairs(account_id, now, clock)
        except BrokerError as error:
            log.warning("changes of account %s wait: %s", account_id, error)
            until_written(partial(_rest, account_id, str(error), clock()))


def _follow_pairs(account_id: int, since: datetime, clock: Callable[[], datetime]) -> None:
    """What was done to one order Alpaca does to its other half, too: let the books follow both at once."""
    settled = OrderChange.objects.filter(account_id=account_id, settled_at__gte=since)
    symbols = list(settled.values_list("symbol", flat=True).distinct())
    orders = Order.objects.filter(account_id=account_id, symbol__in=symbols).not_terminal_at_broker()
    if symbols and (found := list(orders.select_related("account"))):
        look(account=found[0].account, orders=found, now=clock())


def _send_due(gateway: Gateway, account_id: int, clock: Callable[[], datetime]) -> int:
    """Return how many requests left."""
    sent, mine = 0, OrderChange.objects.filter(account_id=account_id)
    for change in mine.filter(state=State.RECORDED, requested_at__lte=clock() - SEND_WITHIN):
        text = "It could not be sent for a quarter of an hour; look at the order anew."
        until_written(partial(end, change, State.REFUSED, text, clock(), was=State.RECORDED))
    for change in mine.filter(due_to_send(clock())).order_by("pk"):
        gateway.await_room()
        reached("before_claim")
        try:
            facts = gateway.get_order(change.broker_order_id)
            reason = _reason_against(change, facts) or _reason_by_position(change, facts, gateway)
        except NotFound as error:
            reason = str(error)
        if reason:
            until_written(partial(end, change, State.REFUSED, reason, clock(), was=State.RECORDED))
            continue
        if not until_written(partial(_claim, change, clock())):
            continue
        reached("after_claim")
        _send(gateway, change, clock)
        sent += 1
        until_written(lambda: leases.renew(f"change:{account_id}", seconds=_LEASE_SECONDS, now=clock()))
    return sent


def _reason_against(change: OrderChange, facts: BrokerOrder) -> str:
    if is_terminal(facts.status):
        return f"The order is {facts.status} by now, so it cannot be {in_words(change)}."
    if change.action == Action.REPLACE and facts.filled_qty:
        return "The order was partly filled meanwhile: its new quantity must be reckoned anew."
    return ""


def _reason_by_position(change: OrderChange, facts: BrokerOrder, gateway: Gateway) -> str:
    """Between the approval and now the price may have passed the new stop, and shares may have been sold."""
    only_if_flat = change.wanted_for.startswith(FLAT_ONLY)
    wanted = replacement(change)
    if not only_if_flat and wanted.stop_price is None and wanted.qty is None:
        return ""
    try:
        position = gateway.get_position(change.symbol)
    except NotFound:
        return ""
    is_sell = facts.side == "sell"
    is_exit = position.qty != 0 and (position.qty > 0) == is_sell
    if only_if_flat and is_exit:
        return f"Our books hold no {change.symbol}, but Alpaca holds {plain(position.qty)}: its exits stay."
    stop, last = wanted.stop_price, position.current_price
    if stop is not None and last is None and is_exit:
        return f"Alpaca tells no price of {change.symbol}: without one the new stop could trade at once."
    if stop is not None and last is not None and (last <= stop if is_sell else last >= stop):
        return f"{change.symbol} is at {plain(last)}, beyond the stop of {plain(stop)}: it would trade at once."
    if is_exit and wanted.qty is not None and wanted.qty > abs(position.qty):
        held = plain(abs(position.qty))
        return f"Alpaca holds {held} {change.symbol} by now, fewer than the {plain(wanted.qty)} of the new order."
    return ""


def _claim(change: OrderChange, now: datetime) -> bool:
    """Take it for this process. Everything that decides stands in the UPDATE itself."""
    allowed = Account.objects.filter(is_active=True)
    if change.action == Action.REPLACE or change.wanted_for.startswith(BEFORE):
        allowed = allowed.filter(sending_halted=False)
    with transaction.atomic():
        mine = OrderChange.objects.filter(pk=change.pk, state=State.RECORDED, account__in=allowed.values("pk"))
        claimed = mine.update(
            state=State.SENDING, claimed_by=this_process(), claimed_at=now, looked_up_at=None, outcome=""
        )
        if claimed:
            tell(change, "Alpaca is asked for it.", now, ACTOR)
    return bool(claimed)


def _send(gateway: Gateway, change: OrderChange, clock: Callable[[], datetime]) -> None:
    """Once. Never raises for what Alpaca does: what cannot be understood is looked up."""
    state, outcome, new_id = State.UNCONFIRMED, "", ""
    try:
        if change.action == Action.CANCEL:
            gateway.cancel_order(change.broker_order_id)
        else:
            new_id = gateway.replace_order(change.broker_order_id, replacement(change)).broker_order_id
        outcome = TAKEN
    except (RateLimited, NotSent, BrokerUnauthorized, BrokerNotConfigured) as error:
        state, outcome = State.RECORDED, str(error)
    except BrokerError as error:
        outcome = str(error)
    except Exception as error:
        log.exception("change %s: the attempt to send it failed", change.pk)
        outcome = f"{type(error).__name__} while sending."
    reached("after_answer")
    until_written(partial(_write_down, change, state, outcome, new_id, clock()))
    reached("after_commit")


def replacement(change: OrderChange) -> Replacement:
    def number(name: str) -> Decimal | None:
        return Decimal(change.wanted[name]) if name in change.wanted else None

    return Replacement(
        client_order_id=change.client_order_id,
        qty=number("qty"),
        limit_price=number("limit_price"),
        stop_price=number("stop_price"),
        time_in_force=change.wanted.get("time_in_force", ""),
    )


def _write_down(change: OrderChange, state: OrderChange.State, outcome: str, new_id: str, now: datetime) -> None:
    with transaction.atomic():
        mine = OrderChange.objects.filter(pk=change.pk, state__in=(State.SENDING, State.UNCONFIRMED))
        # What waits rests a moment; what was sent is looked up at once.
        rest = now if state == State.RECORDED else None
        mine.update(state=state, outcome=outcome[:500], replaced_by=new_id, looked_up_at=rest)
        reached("before_commit")


def _rest(account_id: int, reason: str, now: datetime) -> None:
    waiting = OrderChange.objects.filter(account_id=account_id, state=State.RECORDED)
    waiting.update(looked_up_at=now, outcome=reason[:500])
