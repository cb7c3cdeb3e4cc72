"""A repair of an order's row writes on what it has looked at, or not at all: the stream books beside it."""

from decimal import Decimal

import pytest

from broker.mapping import to_order
from orders.models import Order
from reconciliation.errors import FixRefused
from reconciliation.operations import _restate
from reconciliation.order_repairs import accept_terms, void_order
from reconciliation.terms import spell_terms
from tests.factories import NOW, make_order, minutes

pytestmark = pytest.mark.django_db


def moved(order: Order) -> None:
    """What the stream books between the look and the write."""
    Order.objects.filter(pk=order.pk).update(
        status="partially_filled", filled_qty=Decimal(4), qty=Decimal(12), broker_updated_at=minutes(1)
    )


def test_an_order_that_fills_meanwhile_is_not_voided() -> None:
    order = make_order()
    operation = {"said": "new", "broker_order_id": order.broker_order_id, "reason": "Alpaca does not know it."}
    moved(order)
    with pytest.raises(FixRefused, match="meanwhile"):
        void_order(operation=operation, order=order, now=NOW, actor="fix:1")
    order.refresh_from_db()
    assert (order.submission_state, order.events.count()) == ("confirmed", 0)


def test_terms_that_move_meanwhile_are_not_written_over() -> None:
    order = make_order()
    operation = {"said": dict(spell_terms(order)), "terms": {"qty": "8"}}
    moved(order)
    with pytest.raises(FixRefused, match="meanwhile"):
        accept_terms(operation=operation, order=order, now=NOW, actor="fix:1")
    order.refresh_from_db()
    assert (order.qty, order.events.count()) == (Decimal(12), 0)


def test_an_end_that_came_meanwhile_is_not_restated() -> None:
    order = make_order(status="filled", filled_qty=Decimal(10))
    said = {"id": order.broker_order_id, "client_order_id": order.client_order_id, "symbol": order.symbol}
    facts = to_order({**said, "side": "buy", "status": "new", "filled_qty": "0"})
    moved(order)
    with pytest.raises(FixRefused, match="meanwhile"):
        _restate(order, facts, NOW, "fix:1")
    order.refresh_from_db()
    assert (order.status, order.filled_qty) == ("partially_filled", Decimal(4))


def test_what_did_not_move_is_written() -> None:
    order = make_order()
    operation = {"said": dict(spell_terms(order)), "terms": {"qty": "8"}}
    accept_terms(operation=operation, order=order, now=NOW, actor="fix:1")
    void = {"said": "new", "broker_order_id": order.broker_order_id, "reason": "Alpaca does not know it."}
    void_order(operation=void, order=order, now=NOW, actor="fix:1")
    order.refresh_from_db()
    assert (order.qty, order.submission_state) == (Decimal(8), "rejected")
