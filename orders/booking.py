"""Copy what Alpaca says onto our rows: states of orders, fills, orders that we did not record ourselves.

Facts come in any order, twice, and from several processes. Older news never overwrites newer, an end is never taken
back, a fill is booked once by its activity id, and each step is an event on the order's time line.
"""

import logging
from collections.abc import Callable, Iterable
from copy import copy
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction

from broker.models import Account
from broker.numbers import plain
from broker.types import BrokerFill, BrokerOrder
from orders.errors import OrdersError
from orders.legs import legs_of
from orders.lifecycle import SubmissionState, is_terminal
from orders.models import Batch, Fill, Order
from orders.time_line import add_events, tell_news
from work import correlation
from work.statements import update

log = logging.getLogger(__name__)

#: Called with account, symbols and time, inside the transaction in which an order's state or fills were booked.
after_fills: list[Callable[[Account, set[str], datetime], None]] = []

#: Columns that are Alpaca's word, under the same name on both sides.
FACTS = (
    "status", "filled_qty", "filled_avg_price", "submitted_at", "filled_at", "canceled_at", "expired_at", "failed_at",
    "replaces", "replaced_by", "subtag",
)  # fmt: skip
TERMS = (
    "symbol", "side", "order_type", "order_class", "time_in_force", "qty", "notional", "limit_price", "stop_price",
    "trail_price", "trail_percent", "extended_hours",
)  # fmt: skip
_ATTEMPTS = 5


def book_facts(
    *,
    order_id: int,
    facts: BrokerOrder | None,
    fills: Iterable[BrokerFill] = (),
    now: datetime,
    actor: str,
    follows_later: bool = False,
) -> Order:
    """Book an order's state and fills in one transaction, and let the positions follow in it.

    With `follows_later` whoever calls lets them follow an order that waits unfilled, for many orders at once: such a
    position is only shown as pending.
    """
    with transaction.atomic():
        order = Order.objects.select_related("account").get(pk=order_id)
        _book_and_follow(order, facts, fills, now, actor, follows_later=follows_later)
    return order


def book_answer(*, order: Order, facts: BrokerOrder, now: datetime, actor: str, follows_later: bool = False) -> None:
    """Book the answer to a submit, inside a transaction, without reading the order: it is as its claim left it.

    If it is not, nothing is written before it was read. `order` is left as it is, since all this may have to be run
    again after the transaction has failed.
    """
    _book_and_follow(copy(order), facts, (), now, actor, follows_later=follows_later)


def _book_and_follow(
    order: Order,
    facts: BrokerOrder | None,
    fills: Iterable[BrokerFill],
    now: datetime,
    actor: str,
    *,
    follows_later: bool,
) -> None:
    with correlation.carrying(order.correlation_id):
        if _book_facts(order, facts, fills, now, actor) and not (follows_later and order.filled_qty == 0):
            let_positions_follow(account=order.account, symbols={order.symbol}, now=now)


def _book_facts(
    order: Order, facts: BrokerOrder | None, fills: Iterable[BrokerFill], now: datetime, actor: str
) -> bool:
    changed = facts is not None and book_order(order=order, facts=facts, now=now, actor=actor)
    for fill in fills:
        changed |= book_fill(order=order, fill=fill, now=now, actor=actor) is not None
    if facts is not None and facts.leg_ids:
        # Also of older news: the answer to a submit, which names the legs, may come after the stream's frames.
        _book_legs(order, facts, now=now, actor=actor)
    return changed


def _book_legs(parent: Order, facts: BrokerOrder, *, now: datetime, actor: str) -> None:
    """Take the legs that are not in the books yet into them; those that are have news of their own."""
    legs = {leg.broker_order_id: leg for leg in legs_of(facts)}
    ours = Order.objects.filter(account_id=parent.account_id, broker_order_id__in=legs)
    for broker_order_id in ours.values_list("broker_order_id", flat=True):
        del legs[broker_order_id]
    for leg in legs.values():
        import_order(account=parent.account, facts=leg, origin=parent.origin, now=now, actor=actor)
    if isinstance(parent.raw, dict) and not parent.raw.get("legs"):
        parent.raw = {**parent.raw, "legs": facts.raw["legs"]}
        Order.objects.filter(pk=parent.pk).update(raw=parent.raw)


def let_positions_follow(*, account: Account, symbols: set[str], now: datetime) -> None:
    """A position can be rebuilt from its fills at any time; the fact itself must be booked now."""
    for follow in after_fills:
        try:
            with transaction.atomic():
                follow(account, symbols, now)
        except DatabaseError:
            raise
        except Exception:
            log.exception("the positions in %s could not follow their orders", ", ".join(sorted(symbols)))


def book_order(*, order: Order, facts: BrokerOrder, now: datetime, actor: str) -> bool:
    """Copy the facts onto the row; False if they are no news. Confirms and links an order that was not yet.

    That an end is complete, as its fills were booked before it, is news too.
    """
    for _ in range(_ATTEMPTS):
        _check_identity(order, facts)
        linked = order.submission_state == SubmissionState.CONFIRMED and order.broker_order_id != ""
        if linked and not _is_news(order, facts):
            return _close(order)
        columns = _facts(facts) | ({} if linked else _link(order, facts, now))
        columns["is_booked"] = _is_booked(order, facts.status, facts.filled_qty)
        as_seen = {
            "id": order.pk,
            "submission_state": order.submission_state,
            "status": order.status,
            "broker_updated_at": order.broker_updated_at,
        }
        if update(Order, where=as_seen, columns=columns).run():
            tell_news(order, facts, linked=linked, now=now, actor=actor)
            for name, value in columns.items():
                setattr(order, name, value)
            return True
        order.refresh_from_db()  # somebody else booked meanwhile: judge again by what is there now
    raise OrdersError(f"Order {order.pk} changes faster than it can be booked.")


def _close(order: Order) -> bool:
    """Its end and its last fill may have been booked apart, each without the other. True if that ends it now."""
    if order.is_booked or not _is_booked(order, order.status, order.filled_qty):
        return False
    order.is_booked = True
    return bool(Order.objects.filter(pk=order.pk, status=order.status).update(is_booked=True))


def book_fill(*, order: Order, fill: BrokerFill, now: datetime, actor: str) -> Fill | None:
    """Book one execution; None if that activity is booked already."""
    if fill.broker_order_id != order.broker_order_id:
        raise OrdersError(f"Fill {fill.activity_id} is of another order than {order.pk}.")
    known = Fill.objects.filter(account_id=order.account_id, activity_id=fill.activity_id)
    if known.exists():
        return None
    try:
        with transaction.atomic():
            booked = _fill(order, fill, now)
            booked.save(force_insert=True)
    except IntegrityError:
        if known.exists():  # another process was quicker
            return None
        raise
    text = f"{plain(fill.qty)} at {plain(fill.price)}, {fill.activity_id}"
    add_events(order.pk, ("fill", text), now=now, actor=actor)
    is_booked = _is_booked(order, order.status, order.filled_qty)
    if is_booked != order.is_booked:
        order.is_booked = is_booked
        Order.objects.filter(pk=order.pk).update(is_booked=is_booked)
    log.info("order %s %s: fill %s", order.pk, order.client_order_id, text)
    return booked


def import_order(
    *, account: Account, facts: BrokerOrder, origin: str, now: datetime, actor: str, batch: Batch | None = None
) -> Order:
    """Take an order of Alpaca's into the books. One that is there already is linked and brought up to date."""
    known = _known(account, facts)
    if known is None:
        order = _imported(account, facts, origin, now, batch)
        try:
            with transaction.atomic():
                order.save(force_insert=True)
        except IntegrityError:
            known = _known(account, facts)
            if known is None:
                raise
        else:
            add_events(order.pk, ("imported", f"Taken over from Alpaca as {facts.status}."), now=now, actor=actor)
            return order
    book_order(order=known, facts=facts, now=now, actor=actor)
    return known


# --- From facts to columns -----------------------------------------------------------------------------------


def _facts(facts: BrokerOrder) -> dict[str, Any]:
    columns: dict[str, Any] = {name: getattr(facts, name) for name in FACTS}
    return columns | {"broker_updated_at": facts.updated_at, "raw": dict(facts.raw)}


def _link(order: Order, facts: BrokerOrder, now: datetime) -> dict[str, Any]:
    return {"broker_order_id": facts.broker_order_id, **confirmed(order.confirmed_at or now)}


def confirmed(at: datetime) -> dict[str, Any]:
    state = SubmissionState.CONFIRMED.value
    return {"submission_state": state, "confirmed_at": at, "refusal": "", "not_before": None}


def _imported(account: Account, facts: BrokerOrder, origin: str, now: datetime, batch: Batch | None) -> Order:
    terms = {name: getattr(facts, name) for name in TERMS}
    order = Order(account=account, batch=batch, origin=origin, client_order_id=facts.client_order_id, **terms)
    order.recorded_at = now
    order.correlation_id = correlation.current()
    order.is_booked = ended_unfilled(facts)
    for name, value in {**_facts(facts), **_link(order, facts, now)}.items():
        setattr(order, name, value)
    return order


def ended_unfilled(facts: BrokerOrder) -> bool:
    return is_terminal(facts.status) and facts.filled_qty == 0


def side_of(fill: BrokerFill) -> str:
    return "sell" if fill.side.startswith("sell") else "buy"  # activities say sell_short as well


def _fill(order: Order, fill: BrokerFill, now: datetime) -> Fill:
    return Fill(
        account_id=order.account_id,
        order=order,
        activity_id=fill.activity_id,
        symbol=fill.symbol,
        side=side_of(fill),
        qty=fill.qty,
        price=fill.price,
        transaction_time=fill.transaction_time,
        recorded_at=now,
        raw=dict(fill.raw),
    )


# --- Judging -------------------------------------------------------------------------------------------------


def _check_identity(order: Order, facts: BrokerOrder) -> None:
    if order.broker_order_id:
        if order.broker_order_id != facts.broker_order_id:
            raise OrdersError(f"Order {order.pk} is {order.broker_order_id}, not {facts.broker_order_id}.")
    elif order.client_order_id != facts.client_order_id:
        raise OrdersError(f"Order {order.pk} was sent as {order.client_order_id}, not {facts.client_order_id}.")


def _is_news(order: Order, facts: BrokerOrder) -> bool:
    if is_terminal(order.status) and not is_terminal(facts.status):
        return False
    if order.broker_updated_at is not None:
        if facts.updated_at is None or facts.updated_at < order.broker_updated_at:
            return False
        if facts.updated_at == order.broker_updated_at and facts.filled_qty < order.filled_qty:
            return False
    same = all(getattr(order, name) == getattr(facts, name) for name in FACTS)
    return not same or facts.updated_at != order.broker_updated_at


def _is_booked(order: Order, status: str, filled_qty: Decimal) -> bool:
    if not is_terminal(status):
        return False
    return sum(order.fills.values_list("qty", flat=True), Decimal(0)) == filled_qty


def _known(account: Account, facts: BrokerOrder) -> Order | None:
    ours = Order.objects.filter(account=account)
    linked = ours.filter(broker_order_id=facts.broker_order_id).first()
    return linked or ours.filter(client_order_id=facts.client_order_id, broker_order_id="").first()
