"""Cancel or replace an order at Alpaca: the wish is recorded first, then sent once, then confirmed by look-ups.

Recorded here inside the caller's transaction; change_sending.py sends it and change_settling.py finds out what became
of it. A wish is for the moment: one that could not be sent within minutes is refused, and a person looks again.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Q

from broker.decimals import plain
from broker.models import Account
from orders.chains import under_way
from orders.errors import AccountNotUsable, ChangeRefused
from orders.identity import new_protection_id
from orders.models import Order, OrderChange, OrderEvent

log = logging.getLogger(__name__)

State, Action = OrderChange.State, OrderChange.Action
#: Under way: nothing about protection in its symbol may be judged meanwhile.
UNDER_WAY = (State.RECORDED, State.SENDING, State.UNCONFIRMED)
#: The terms that a replacement may change.
TERMS = ("qty", "limit_price", "stop_price", "time_in_force")
#: `wanted_for` of a cancel that is right only while Alpaca holds nothing that the order would sell or buy back.
FLAT_ONLY = "closed position:"
#: `wanted_for` of a cancel after which an order of ours is to be sent.
BEFORE = "order:"
PASSES_KILL_SWITCH = Q(action=Action.CANCEL) & ~Q(wanted_for__startswith=BEFORE)
#: What was wanted this long ago and could not be sent is not sent any more.
SEND_WITHIN = timedelta(minutes=15)
#: What could not be sent, or is not known yet, is tried or asked for again after so long.
PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(seconds=30)


def record_change(
    *,
    account: Account,
    broker_order_id: str,
    symbol: str,
    action: str,
    wanted: Mapping[str, str] | None = None,
    wanted_for: str,
    actor: str,
    now: datetime,
) -> OrderChange:
    """Record the wish; the worker sends it. Of a replacement `wanted` are its new terms (see TERMS).

    Call it in a transaction. Raises ChangeRefused while another change of that order is under way.
    """
    if not account.is_active:
        raise AccountNotUsable(f"{account.name} is switched off: nothing is sent for it.")
    terms = dict(wanted or {})
    if not broker_order_id or set(terms) - set(TERMS) or bool(terms) != (action == Action.REPLACE):
        raise ChangeRefused("A replacement needs new terms that Alpaca can change, and a cancel has none.")
    change = OrderChange(
        account=account,
        order=Order.objects.filter(account=account, broker_order_id=broker_order_id).first(),
        broker_order_id=broker_order_id,
        symbol=symbol,
        action=action,
        wanted=terms,
        client_order_id=new_protection_id(wanted_for=wanted_for) if action == Action.REPLACE else "",
        wanted_for=wanted_for,
        requested_by=actor,
        requested_at=now,
    )
    try:
        with transaction.atomic():
            change.save(force_insert=True)
    except IntegrityError:
        raise ChangeRefused(f"Another change of the order {broker_order_id} in {symbol} is under way.") from None
    tell(change, f"To be {in_words(change)}, wanted for {wanted_for}.", now, actor)
    log.info("change %s recorded: %s %s, for %s by %s", change.pk, action, broker_order_id, wanted_for, actor)
    return change


def in_words(change: OrderChange) -> str:
    if change.action == Action.CANCEL:
        return "cancelled"
    said = {"qty": "for", "stop_price": "stop", "limit_price": "limit", "time_in_force": "good"}
    terms = [f"{said[name]} {_spell(change.wanted[name])}" for name in TERMS if name in change.wanted]
    return f"replaced by one {', '.join(terms)}"


def _spell(value: str) -> str:
    return value.upper() if value.isalpha() else str(plain(Decimal(value)))


def tell(change: OrderChange, text: str, now: datetime, actor: str) -> None:
    """A step on the order's time line, if the order is in our books."""
    if change.order_id is not None:
        OrderEvent.objects.create(order_id=change.order_id, at=now, kind="change", text=text[:500], actor=actor)


def symbols_under_way(account: Account) -> set[str]:
    """Symbols in which a cancel or replacement is not settled yet, or an order follows upon it."""
    live = OrderChange.objects.filter(account=account, state__in=UNDER_WAY)
    followed = under_way(account).values_list("order__symbol", flat=True)
    return {*live.values_list("symbol", flat=True), *followed}


def due_to_send(now: datetime) -> Q:
    """Recorded, and not tried a moment ago. The kill switch holds replacements, which are orders, and cancels that
    make room for an order; it lets the others pass, which only take orders away."""
    rested = Q(looked_up_at__isnull=True) | Q(looked_up_at__lte=now - PAUSE) | Q(looked_up_at__gt=now + LONGEST_PAUSE)
    may_leave = PASSES_KILL_SWITCH | Q(account__sending_halted=False)
    return rested & may_leave & Q(state=State.RECORDED, account__is_active=True)
