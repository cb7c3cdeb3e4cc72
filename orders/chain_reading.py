"""What is read before anything is cancelled for an order: the exits that hold shares, and what speaks against it."""

from decimal import Decimal

from django.db.models import Q

from broker.decimals import plain
from broker.errors import NotFound
from broker.gateway import Gateway
from broker.types import BrokerOrder, BrokerPosition
from orders import protecting
from orders.chains import under_way
from orders.changing import UNDER_WAY, Action
from orders.lifecycle import SubmissionState, is_terminal
from orders.models import Order, OrderChange, Side


def open_exits(gateway: Gateway, order: Order) -> list[BrokerOrder]:
    """Every open order at Alpaca that would sell (or buy back) what the order is for."""
    return [
        facts
        for page in gateway.open_orders()
        for facts in page.orders
        if facts.symbol == order.symbol
        and facts.side == order.side
        and facts.client_order_id != order.client_order_id
        and not is_terminal(facts.status)
    ]


def is_asked(facts: BrokerOrder) -> bool:
    """A held leg holds no share of its own, and goes with the other half of its pair."""
    return facts.status != "held"


def in_the_way(order: Order) -> bool:
    """Something of ours in the symbol is on its way to Alpaca: what is read there now may not be all."""
    others = Order.objects.filter(account=order.account, symbol=order.symbol).exclude(pk=order.pk)
    sent = Q(submission_state__in=(SubmissionState.SUBMITTING, SubmissionState.UNCONFIRMED))
    placed = Q(submission_state=SubmissionState.RECORDED, origin=Order.Origin.PROTECTION)
    changing = OrderChange.objects.filter(account=order.account, symbol=order.symbol, state__in=UNDER_WAY)
    return (
        others.filter(sent | placed, side=order.side).exists()
        or changing.filter(action=Action.REPLACE).exists()
        or under_way(order.account).filter(order__symbol=order.symbol).exclude(order=order).exists()
    )


def position_of(gateway: Gateway, symbol: str) -> BrokerPosition | None:
    try:
        return gateway.get_position(symbol)
    except NotFound:
        return None


def reason_against(order: Order, position: BrokerPosition | None) -> str:
    if order.origin == Order.Origin.PROTECTION:
        return protecting.reason_against(order, position)
    held = position.qty if position else Decimal(0)
    if not held or (held > 0) != (order.side == Side.SELL):
        return f"Alpaca holds no {order.symbol} that it would close."
    if order.qty is None or order.qty > abs(held):
        return f"Alpaca holds {plain(abs(held))} {order.symbol} by now, fewer than it would close."
    return ""
