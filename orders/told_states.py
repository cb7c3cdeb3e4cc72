"""Write at once what a frame proves about an order that fills: its state, by statements that are compiled once.

The executions follow from the list of activities, which may take a while. Until then traders see the order filled, a
kill loses nothing of that, and whoever reckons with the ledger knows that it is behind (`orders.unbooked`). What is
not plain here is left as it is: `orders.booking` gets the same facts next, and judges by all its rules.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from broker.types import BrokerOrder
from orders.booking import FACTS
from orders.lifecycle import SubmissionState, is_terminal
from orders.models import Order
from orders.time_line import tell_news
from work import correlation
from work.statements import Blank, Compiled, Statement, field_of, update

#: Their ends are asked for until the fills are booked (`OrderQuerySet.followed`), so one without its fills may be kept.
_ASKED_UNTIL_BOOKED = frozenset({Order.Origin.BATCH, Order.Origin.PROTECTION})


def book_told(*, account_id: int, told: Iterable[BrokerOrder], now: datetime, actor: str) -> int:
    """Write the states that say of more being filled than our rows, in one transaction; return how many were written.

    Only onto orders that are confirmed and have not ended by what we know, and never older news onto newer.
    """
    fills = [facts for facts in told if facts.filled_qty and facts.updated_at is not None]
    if not fills:
        return 0
    with transaction.atomic():
        return sum(_book(account_id, facts, now, actor) for facts in fills)


def with_legs(facts: BrokerOrder, order: Order) -> BrokerOrder:
    """Frames name no legs: keep what the last answer said of them."""
    raw = order.raw if isinstance(order.raw, dict) else {}
    if facts.raw.get("legs") is None and raw.get("legs"):
        return replace(facts, raw={**facts.raw, "legs": raw["legs"]})
    return facts


def _book(account_id: int, facts: BrokerOrder, now: datetime, actor: str) -> bool:
    asked = {"account": account_id, "broker_order_id": facts.broker_order_id}
    found = _ORDER.ready(asked).rows(Order)
    if not found or not _is_plain(found[0], facts):
        return False
    order = found[0]
    columns = {name: getattr(facts, name) for name in FACTS}
    columns |= {"broker_updated_at": facts.updated_at, "raw": dict(with_legs(facts, order).raw)}
    as_seen = {
        "id": order.pk,
        "submission_state": order.submission_state,
        "status": order.status,
        "broker_updated_at": order.broker_updated_at,
    }
    if not update(Order, where=as_seen, columns=columns).run():
        return False  # somebody else booked meanwhile
    with correlation.carrying(order.correlation_id):
        tell_news(order, facts, linked=True, now=now, actor=actor)
    return True


def _is_plain(order: Order, facts: BrokerOrder) -> bool:
    """True if the facts can only be news, whatever fills are booked: an order that lives on or ends with more."""
    if order.submission_state != SubmissionState.CONFIRMED or is_terminal(order.status):
        return False
    if order.origin not in _ASKED_UNTIL_BOOKED or facts.filled_qty <= order.filled_qty:
        return False
    seen = order.broker_updated_at
    return facts.updated_at is not None and (seen is None or seen <= facts.updated_at)


def _compile(here: BaseDatabaseWrapper) -> Compiled:
    wanted = {name: Blank(name, field_of(Order, name)) for name in ("account", "broker_order_id")}
    sql, places = Order.objects.filter(**wanted).order_by().query.get_compiler(connection=here).as_sql()
    return sql, tuple(places)


_ORDER = Statement(Order, _compile)
