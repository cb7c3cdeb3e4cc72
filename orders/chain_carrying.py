"""Cancel what holds the shares; when each cancel is proven at Alpaca, let the order be sent; else do not, and say why.

1. Begin: read Alpaca's open orders and the position; record the cancels and what was seen, in one transaction.
2. The cancels go the way of every cancel (change_sending.py), each sent once and settled by look-ups.
3. Prove: every order that was to be cancelled is terminal, its fills are read again and are what they were, and the
   position is what it was. Then the order is claimed and sent by whoever sends it.
4. Not proven, or not sent after that, within half a minute, or anything was filled: the order is denied.

Each step is one transaction on a condition: it may be run again, by anybody, after a kill at any point.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from broker.decimals import plain
from broker.errors import BrokerError
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from broker.types import BrokerOrder
from orders.chain_models import PATIENCE, CancelFirst
from orders.chain_reading import in_the_way, is_asked, open_exits, position_of, reason_against
from orders.chain_stops import place_stops_again, stops_to_place_again
from orders.chains import State, may_begin, outdated
from orders.change_sending import carry_out_changes
from orders.change_settling import end
from orders.changing import BEFORE, UNDER_WAY, Action, record_change
from orders.crash_points import reached
from orders.errors import ChangeRefused
from orders.held_shares import free_qty
from orders.identity import is_ours
from orders.lifecycle import SubmissionState, is_terminal
from orders.models import Order, OrderChange, OrderEvent
from orders.patience import until_written
from work import leases

log = logging.getLogger(__name__)
ACTOR = "system:send"
Clock = Callable[[], datetime]
_LEASE_SECONDS = 60.0
_PAUSE = timedelta(seconds=2)
_LOOKS = (0.0, 0.2, 0.5, 1.0)
_LATE = "The cancels were not proven within half a minute."
_UNSENT = "It could not be sent within half a minute after the cancels."


class _Hopeless(Exception):
    """The order must not be sent; the text says why."""


def has_chains_to_carry(account_id: int, now: datetime) -> bool:
    return (
        outdated(account_id, now).exists()
        or _waiting(account_id, now).exists()
        or CancelFirst.objects.filter(order__account_id=account_id, state=State.CANCELLING).exists()
        or stops_to_place_again(account_id).exists()
    )


def carry_chains(
    *, account_id: int, now: datetime, clock: Clock = timezone.now, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Go on with everything that is cancelled first; True when an order may leave now that could not before."""
    if not has_chains_to_carry(account_id, now):
        return False
    with leases.holding(f"chain:{account_id}", seconds=_LEASE_SECONDS) as taken:
        if not taken:
            return False
        _give_up_outdated(account_id, clock())
        try:
            gateway = open_gateway(Account.objects.get(pk=account_id))
            for chain in _waiting(account_id, clock()).select_related("order__account"):
                _begin(gateway, chain, clock)
            proven = _prove_all(gateway, account_id, clock, sleep)
            place_stops_again(gateway, account_id, clock())
        except BrokerError as error:
            log.warning("what is cancelled first for account %s waits: %s", account_id, error)
            proven = False
        _give_up_outdated(account_id, clock())
    return proven


def _waiting(account_id: int, now: datetime) -> "QuerySet[CancelFirst]":
    rested = Q(looked_at__isnull=True) | Q(looked_at__lte=now - _PAUSE) | Q(looked_at__gt=now + _PAUSE)
    orders = Order.objects.filter(may_begin(now), account_id=account_id)
    return CancelFirst.objects.filter(rested, state=State.WAITING, order__in=orders.values("pk")).order_by("pk")


# --- Begin ----------------------------------------------------------------------------------------------------


def _begin(gateway: Gateway, chain: CancelFirst, clock: Clock) -> None:
    """Read what is there and record the cancels. Raises BrokerError: nothing was learned, nothing was recorded."""
    order = chain.order
    until_written(partial(CancelFirst.objects.filter(pk=chain.pk).update, looked_at=clock()))
    if in_the_way(order):
        return
    exits = open_exits(gateway, order)
    position = position_of(gateway, order.symbol)
    reached("chain_read")
    if reason := reason_against(order, position) or _other_than_wanted(chain, exits):
        until_written(partial(_give_up, chain, f"{reason} Its exits were left as they are.", clock()))
        return
    assert position is not None  # noqa: S101  # else there was a reason
    with suppress(ChangeRefused):  # something else began with one of them: look again later
        until_written(partial(_record_cancels, chain, exits, position.qty, clock()))
    reached("chain_begun")


def _other_than_wanted(chain: CancelFirst, exits: list[BrokerOrder]) -> str:
    """What a person approved to be cancelled, if it was named, must be all that is there."""
    wanted = {seen["id"] for seen in chain.cancels}
    found = {one.broker_order_id for one in exits if is_asked(one)}
    return (
        "Other exits are open at Alpaca than those that were to be cancelled."
        if wanted - found or (wanted and found - wanted)
        else ""
    )


def _record_cancels(chain: CancelFirst, exits: list[BrokerOrder], held: Decimal, now: datetime) -> None:
    order = chain.order
    with transaction.atomic():
        # Taken until the commit: whoever would place an exit, or turns the kill switch, comes before or after this.
        if not Account.objects.filter(pk=order.account_id, is_active=True, sending_halted=False).update(is_active=True):
            return
        if in_the_way(order) or not Order.objects.filter(may_begin(now), pk=order.pk).update(refusal=""):
            return
        seen = [{"id": one.broker_order_id, "filled": str(one.filled_qty), "asked": is_asked(one)} for one in exits]
        begun = CancelFirst.objects.filter(pk=chain.pk, state=State.WAITING)
        if not begun.update(state=State.CANCELLING, began_at=now, cancels=seen, held=str(held)):
            return
        asked = [one for one in exits if is_asked(one)]
        # What we placed is the whole of a pair, and takes its other half with it.
        for one in sorted(asked, key=lambda one: not is_ours(one.client_order_id)):
            _record_cancel(order, one, now)
        named = ", ".join(one.broker_order_id for one in asked) or "none is open"
        _tell(order, f"Exits to be cancelled first: {named}. From here until it is filled nothing guards it.", now)
        reached("chain_before_commit")


def _record_cancel(order: Order, facts: BrokerOrder, now: datetime) -> None:
    """A cancel that somebody else wanted is as good as ours."""
    wanted = OrderChange.objects.filter(account=order.account, broker_order_id=facts.broker_order_id)
    if wanted.filter(action=Action.CANCEL, state__in=UNDER_WAY).exists():
        return
    record_change(
        account=order.account,
        broker_order_id=facts.broker_order_id,
        symbol=order.symbol,
        action=Action.CANCEL,
        wanted_for=f"{BEFORE}{order.pk}",
        actor=ACTOR,
        now=now,
    )


# --- Prove ----------------------------------------------------------------------------------------------------


def _prove_all(gateway: Gateway, account_id: int, clock: Clock, sleep: Callable[[float], None]) -> bool:
    begun = CancelFirst.objects.filter(order__account_id=account_id, state=State.CANCELLING)
    is_any_proven = False
    for pause in _LOOKS:
        chains = list(begun.select_related("order__account").order_by("pk"))
        if not chains:
            break
        sleep(pause)
        carry_out_changes(account_id=account_id, now=clock(), clock=clock, sleep=sleep)
        for chain in chains:
            is_any_proven |= _prove_or_give_up(gateway, chain, clock)
    return is_any_proven


def _prove_or_give_up(gateway: Gateway, chain: CancelFirst, clock: Clock) -> bool:
    reached("chain_proving")
    try:
        is_proven = _is_proven(gateway, chain)
    except _Hopeless as hopeless:
        until_written(partial(_give_up, chain, str(hopeless), clock()))
        return False
    if is_proven:
        until_written(partial(_note_proof, chain, clock()))
        reached("chain_proven")
    return is_proven


def _is_proven(gateway: Gateway, chain: CancelFirst) -> bool:
    """False: not known yet. Raises _Hopeless, or BrokerError when Alpaca could not be asked."""
    if not all(_is_gone(gateway, chain, seen) for seen in chain.cancels):
        return False
    order, position = chain.order, position_of(gateway, chain.order.symbol)
    if position is None or position.qty != Decimal(chain.held):
        now_held = plain(position.qty) if position else "none"
        raise _Hopeless(f"Alpaca held {chain.held} {order.symbol} before the cancels and holds {now_held} now.")
    free = free_qty(position)
    return free is None or order.qty is None or free >= order.qty


def _is_gone(gateway: Gateway, chain: CancelFirst, seen: dict[str, str]) -> bool:
    facts = gateway.get_order(seen["id"])
    if facts.filled_qty != Decimal(seen["filled"]) or facts.status == "filled":
        raise _Hopeless(f"The exit {seen['id']} was filled meanwhile: {plain(facts.filled_qty)}.")
    if facts.status == "replaced":
        raise _Hopeless(f"The exit {seen['id']} was replaced meanwhile, and goes on under another id.")
    if not is_terminal(facts.status):
        if seen["asked"] and (refused := _refusal(chain, seen["id"])):
            raise _Hopeless(f"The exit {seen['id']} could not be cancelled: {refused}")
        return not seen["asked"] and facts.status == "held"
    if not facts.filled_qty:
        return not gateway.fills_of(seen["id"])
    return sum((fill.qty for fill in gateway.fills_of(seen["id"])), Decimal(0)) == facts.filled_qty


def _refusal(chain: CancelFirst, broker_order_id: str) -> str:
    mine = {"wanted_for": f"{BEFORE}{chain.order_id}", "broker_order_id": broker_order_id}
    change = OrderChange.objects.filter(account=chain.order.account, requested_at__gte=chain.began_at, **mine).last()
    return change.outcome if change and change.state == OrderChange.State.REFUSED else ""


def _note_proof(chain: CancelFirst, now: datetime) -> None:
    with transaction.atomic():
        # Not after its half minute, whenever the answers came.
        mine = CancelFirst.objects.filter(pk=chain.pk, state=State.CANCELLING, began_at__gt=now - PATIENCE)
        if mine.update(state=State.PROVEN, proven_at=now, outcome="Every cancel is proven."):
            _tell(chain.order, "Every cancel is proven at Alpaca and nothing was filled: it may leave.", now)


# --- Give up --------------------------------------------------------------------------------------------------


def _give_up_outdated(account_id: int, now: datetime) -> None:
    for chain in outdated(account_id, now).select_related("order__account"):
        text = _UNSENT if chain.state == State.PROVEN else _LATE
        until_written(partial(_give_up, chain, text, now))


def _give_up(chain: CancelFirst, reason: str, now: datetime) -> None:
    """Deny the order, unless it was claimed meanwhile, and take back what was not sent of the cancels."""
    order = chain.order
    if chain.state != State.WAITING:
        reason = f"{reason} Exits of {order.symbol} may be gone: look at its protection."
    with transaction.atomic():
        unsent = Order.objects.filter(pk=order.pk, submission_state=SubmissionState.RECORDED)
        denied = unsent.update(submission_state=SubmissionState.DENIED, refusal=reason[:500], not_before=None)
        if not denied and chain.state == State.PROVEN:
            return  # it was claimed meanwhile
        mine = CancelFirst.objects.filter(pk=chain.pk, state=chain.state)
        if not mine.update(state=State.GIVEN_UP, outcome=reason[:500]) and not denied:
            return
        cancels = OrderChange.objects.filter(account=order.account, wanted_for=f"{BEFORE}{order.pk}")
        for change in cancels.filter(state=OrderChange.State.RECORDED):
            end(
                change, OrderChange.State.REFUSED, "What it was wanted for is given up.", now, was=change.State.RECORDED
            )
        if denied:
            text = f"Not sent: {reason}"[:500]
            OrderEvent.objects.create(order=order, at=now, kind="denied", text=text, actor=ACTOR)
        log.warning("order %s is not sent: %s", order.pk, reason)


def _tell(order: Order, text: str, now: datetime) -> None:
    OrderEvent.objects.create(order=order, at=now, kind="cancel_first", text=text[:500], actor=ACTOR)
