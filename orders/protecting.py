"""Protect a position: record its stop, with its target as an OCO, as an order that comes in no batch.

Recorded here inside the caller's transaction, so that whatever wanted it and the intent to send it are committed
together. Sending is placing.py's, from the row: it goes the way of every order, claimed once and looked up if in doubt.
"""

import logging
from datetime import datetime
from decimal import Decimal

from broker.decimals import plain
from broker.models import Account
from broker.types import BrokerPosition
from orders.chains import under_way
from orders.errors import AccountNotUsable, ProtectionRefused
from orders.identity import new_protection_id
from orders.lifecycle import IN_FLIGHT
from orders.models import Order, OrderEvent, Side
from orders.order_class import OCO
from work import correlation

log = logging.getLogger(__name__)


def record_protection(
    *,
    account: Account,
    symbol: str,
    side: str,
    qty: Decimal,
    stop_price: Decimal,
    target_price: Decimal | None,
    wanted_for: str,
    actor: str,
    now: datetime,
) -> Order:
    """Record the exits of a position; the worker sends them. `side` is the exit's: sell for a long position.

    With a target they are one OCO, good till cancelled. Alpaca takes a fraction of a share in simple day orders
    only: then it is the stop alone, until the close. `wanted_for` ("fix:12", "position:7") stays readable in the
    order's client_order_id.

    Raises ProtectionRefused for levels that make no sense, and while another protective order of the symbol is on
    its way; AccountNotUsable for an account that is switched off.
    """
    _check(side, qty, stop_price, target_price)
    _one_at_a_time(account, symbol)
    fractional = qty != qty.to_integral_value()
    order = Order(
        account=account,
        origin=Order.Origin.PROTECTION,
        client_order_id=new_protection_id(wanted_for=wanted_for),
        symbol=symbol,
        side=side,
        qty=qty,
        time_in_force="day" if fractional else "gtc",
        recorded_at=now,
        correlation_id=correlation.current_or_new(),
    )
    if target_price is None or fractional:
        order.order_type, order.stop_price = "stop", stop_price
    else:
        order.order_type, order.order_class, order.limit_price = "limit", OCO, target_price
        order.take_profit_limit_price, order.stop_loss_stop_price = target_price, stop_price
    order.save(force_insert=True)
    text = f"Recorded to protect {plain(qty)} {symbol}, wanted for {wanted_for}."
    OrderEvent.objects.create(order=order, at=now, kind="recorded", text=text, actor=actor)
    with correlation.carrying(order.correlation_id):
        log.info("protective order %s %s recorded for %s by %s", order.pk, order.client_order_id, wanted_for, actor)
    return order


def planned_stop(order: Order) -> Decimal | None:
    """The level at which a protective order that we recorded sells (or buys back) at a loss."""
    stop: Decimal | None = order.stop_loss_stop_price if order.order_class == OCO else order.stop_price
    return stop


def reason_against(order: Order, position: BrokerPosition | None) -> str:
    """Return why the order is not sent, as the position is at Alpaca now; empty if it may be."""
    held = position.qty if position else Decimal(0)
    size, is_long = abs(held), held > 0
    if position is None or not held or is_long != (order.side == Side.SELL):
        return f"Alpaca holds no {order.symbol} that it would protect."
    if order.qty is None or size < order.qty:
        return f"Alpaca holds {plain(size)} {order.symbol} by now, fewer than the {plain(order.qty)} it would sell."
    stop, last = planned_stop(order), position.current_price
    if stop is not None and last is None:
        return (
            f"Alpaca tells no price of {order.symbol}: without one nobody can say that its stop would not sell at once."
        )
    if stop is not None and last is not None and (last <= stop if is_long else last >= stop):
        return f"{order.symbol} is at {plain(last)}, beyond the stop of {plain(stop)}: it would be sold at once."
    return ""


def _check(side: str, qty: Decimal, stop_price: Decimal, target_price: Decimal | None) -> None:
    if side not in Side.values:
        raise ProtectionRefused(f"A protective order buys or sells; {side!r} is neither.")
    if qty <= 0:
        raise ProtectionRefused("There is nothing to protect: the quantity is not above zero.")
    if stop_price <= 0 or (target_price is not None and target_price <= 0):
        raise ProtectionRefused("A stop and a target are prices above zero.")
    if target_price is not None and (target_price <= stop_price if side == Side.SELL else target_price >= stop_price):
        where = "above" if side == Side.SELL else "below"
        raise ProtectionRefused(
            f"The target of a {'long' if side == Side.SELL else 'short'} position lies {where} its stop; "
            f"{plain(target_price)} does not lie {where} {plain(stop_price)}."
        )


def _one_at_a_time(account: Account, symbol: str) -> None:
    """Take the account's row until the commit: two that want to protect the same shares must see each other."""
    if not Account.objects.filter(pk=account.pk, is_active=True).update(is_active=True):
        raise AccountNotUsable(f"{account.name} is switched off: nothing is sent for it.")
    placed = Order.objects.filter(
        account=account, symbol=symbol, origin=Order.Origin.PROTECTION, submission_state__in=IN_FLIGHT
    )
    if other := placed.first():
        raise ProtectionRefused(f"Order {other.pk} that protects {symbol} is on its way already.")
    if chain := under_way(account).filter(order__symbol=symbol).first():
        raise ProtectionRefused(f"Exits of {symbol} are cancelled at this moment, for order {chain.order_id}.")
