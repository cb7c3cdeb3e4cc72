"""Whatever is booked on an order reaches the positions in the same transaction."""

import pytest
from django.db import transaction

from broker.types import BrokerFill, BrokerOrder
from orders.booking import after_fills, book_facts
from orders.models import Fill, Order
from positions.models import Position
from positions.rebuilding import rebuild_after_fills
from tests.factories import NOW, make_order, minutes

pytestmark = pytest.mark.django_db


def facts_of(order: Order, *, status: str, filled: str = "0", minute: int = 1) -> BrokerOrder:
    unset = dict.fromkeys(
        [
            "notional", "limit_price", "stop_price", "trail_price", "trail_percent", "canceled_at", "expired_at",
            "failed_at", "replaced_at", "filled_avg_price", "filled_at",
        ]
    )  # fmt: skip
    return BrokerOrder(
        **unset,
        broker_order_id=order.broker_order_id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        asset_id="asset",
        side=order.side,
        order_type="market",
        order_class="",
        time_in_force="day",
        qty=order.qty,
        extended_hours=False,
        status=status,
        filled_qty=order.qty if filled == "all" else order.filled_qty,
        created_at=NOW,
        updated_at=minutes(minute),
        submitted_at=NOW,
        replaces="",
        replaced_by="",
        subtag="",
        leg_ids=(),
        raw={},
    )


def fill_of(order: Order) -> BrokerFill:
    return BrokerFill(
        activity_id="20251107093000000::1",
        broker_order_id=order.broker_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
        price=order.qty * 10,
        cum_qty=order.qty,
        leaves_qty=None,
        transaction_time=minutes(1),
        raw={},
    )


def test_positions_registered_themselves_once():
    assert after_fills.count(rebuild_after_fills) == 1


def test_an_order_s_life_is_its_position_s_life():
    order = make_order(status="pending_new")
    book_facts(order_id=order.pk, facts=facts_of(order, status="new"), now=minutes(1), actor="system:follow")
    assert Position.objects.get().state == "pending"
    done = facts_of(order, status="filled", filled="all", minute=2)
    book_facts(order_id=order.pk, facts=done, fills=[fill_of(order)], now=minutes(2), actor="system:follow")
    row = Position.objects.get()
    assert (row.state, row.qty, row.avg_entry_price, row.stop_loss) == ("open", 10, 100, 92)


def test_an_entry_whose_fill_is_listed_a_moment_later_is_one_trade():
    order = make_order(status="pending_new")
    book_facts(order_id=order.pk, facts=facts_of(order, status="new"), now=minutes(1), actor="system:follow")
    done = facts_of(order, status="filled", filled="all", minute=2)
    book_facts(order_id=order.pk, facts=done, now=minutes(2), actor="system:stream")
    assert Position.objects.get().state == "pending"
    book_facts(order_id=order.pk, facts=None, fills=[fill_of(order)], now=minutes(3), actor="system:stream")
    row = Position.objects.get()
    assert (row.sequence, row.state, row.qty) == (1, "open", 10)


def test_a_cancelled_entry_closes_its_pending_position():
    order = make_order(status="pending_new")
    book_facts(order_id=order.pk, facts=facts_of(order, status="new"), now=minutes(1), actor="system:follow")
    ended = facts_of(order, status="canceled", minute=2)
    book_facts(order_id=order.pk, facts=ended, now=minutes(2), actor="system:follow")
    assert Position.objects.get().is_never_filled


def test_a_booking_that_is_rolled_back_leaves_no_position():
    order = make_order(status="new")
    with transaction.atomic():
        book_facts(order_id=order.pk, facts=None, fills=[fill_of(order)], now=minutes(2), actor="system:follow")
        assert Position.objects.get().qty == 10
        transaction.set_rollback(True)
    assert not Fill.objects.exists()
    assert not Position.objects.exists()
