"""Take the history that an account had before its books were opened into them, many rows at once.

What is there already is brought up to date one by one, as any news is (`booking.py`).
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from broker.inserting import insert_rows, look_up
from broker.models import Account
from broker.types import BrokerFill, BrokerOrder
from orders.booking import FACTS, TERMS, confirmed, ended_unfilled, import_order, side_of
from orders.errors import OrdersMissing
from orders.models import Fill, Order
from work import correlation

_EXECUTION = ("activity_id", "symbol", "qty", "price", "transaction_time")
_execution = attrgetter(*_EXECUTION)
#: The broker's facts in the sequence of the columns that they are written to.
_in_a_row = attrgetter("client_order_id", "broker_order_id", *TERMS, *FACTS, "updated_at")


def import_orders(*, account: Account, orders: Sequence[BrokerOrder], origin: str, now: datetime, actor: str) -> int:
    """Take a page of history into the books; return how many were new. A page that is read twice changes nothing."""
    newest: dict[str, BrokerOrder] = {}
    for facts in orders:
        earlier = newest.get(facts.broker_order_id)
        if earlier is None or _moment(facts) >= _moment(earlier):
            newest[facts.broker_order_id] = facts
    ids = {facts.client_order_id for facts in newest.values()}
    known = {key for key, _ in look_up(Order, "broker_order_id", newest.keys(), "id", account_id=account.pk)}
    recorded = {key for key, _ in look_up(Order, "client_order_id", ids, "id", account_id=account.pk)}
    fresh = []
    for facts in newest.values():
        if facts.broker_order_id in known or facts.client_order_id in recorded:
            import_order(account=account, facts=facts, origin=origin, now=now, actor=actor)
        else:
            fresh.append(facts)
    _insert_imported(account, fresh, origin, now)
    return len(fresh)


def _insert_imported(account: Account, orders: Sequence[BrokerOrder], origin: str, now: datetime) -> None:
    """Write the rows that `import_order` would make one by one."""
    insert_rows(
        Order,
        ["client_order_id", "broker_order_id", *TERMS, *FACTS, "broker_updated_at", "raw", "is_booked"],
        [(*_in_a_row(facts), facts.raw_text or facts.raw, ended_unfilled(facts)) for facts in orders],
        **confirmed(now),
        account_id=account.pk,
        origin=origin,
        recorded_at=now,
        correlation_id=correlation.current(),
    )


def import_fills(*, account: Account, fills: Sequence[BrokerFill], now: datetime) -> int:
    """Book executions of the history; return how many were new. Raises OrdersMissing for those without an order."""
    by_id = {fill.activity_id: fill for fill in fills}
    for activity_id, _ in look_up(Fill, "activity_id", list(by_id), "id", account_id=account.pk):
        del by_id[activity_id]
    wanted = {fill.broker_order_id for fill in by_id.values()}
    orders = dict(look_up(Order, "broker_order_id", wanted, "id", account_id=account.pk))
    if missing := sorted(wanted - orders.keys()):
        raise OrdersMissing(missing)
    insert_rows(
        Fill,
        [*_EXECUTION, "raw", "order_id", "side"],
        [
            (*_execution(fill), fill.raw_text or fill.raw, orders[fill.broker_order_id], side_of(fill))
            for fill in by_id.values()
        ],
        account_id=account.pk,
        recorded_at=now,
    )
    return len(by_id)


def _moment(facts: BrokerOrder) -> float:
    return facts.updated_at.timestamp() if facts.updated_at else 0.0
