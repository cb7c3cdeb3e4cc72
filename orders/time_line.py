"""Tell what happened to an order: as steps of its time line, and in the log."""

import logging
from datetime import datetime

from broker.numbers import plain
from broker.types import BrokerOrder
from orders.models import Order, OrderEvent
from work.statements import insert

#: Under the name of what books: whoever looks for an order in the log finds its steps together.
log = logging.getLogger("orders.booking")
_LONGEST_TEXT = 500


def add_events(order_id: int, *events: tuple[str, str], now: datetime, actor: str) -> None:
    """Add these steps, each a kind and a text, in one statement."""
    if events:
        rows = [
            {"order_id": order_id, "at": now, "kind": kind, "text": text[:_LONGEST_TEXT], "actor": actor}
            for kind, text in events
        ]
        insert(OrderEvent, rows).run()


def tell_news(order: Order, facts: BrokerOrder, *, linked: bool, now: datetime, actor: str) -> None:
    """Tell what these facts change about the order, which is as it was before them."""
    told = []
    if not linked:
        told.append(("confirmed", f"Alpaca has it as {facts.broker_order_id}."))
        log.info("order %s %s confirmed as %s", order.pk, order.client_order_id, facts.broker_order_id)
    if (order.status, order.filled_qty) != (facts.status, facts.filled_qty):
        filled = f", {plain(facts.filled_qty)} filled" if facts.filled_qty else ""
        price = f" at {plain(facts.filled_avg_price)}" if facts.filled_avg_price and facts.filled_qty else ""
        before = f"{order.status} → " if order.status else ""
        told.append(("status", f"{before}{facts.status}{filled}{price}"))
        log.info("order %s %s: %s%s%s", order.pk, order.client_order_id, facts.status, filled, price)
    add_events(order.pk, *told, now=now, actor=actor)
