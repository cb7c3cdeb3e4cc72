"""Leaving out what both sides say alike finds the same differences, and leaves nearly nothing to be compared."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given

from broker.types import BrokerOrder
from reconciliation.agreeing import leave_out_agreeing
from reconciliation.comparison import compare, compare_all
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from tests.reconciliation.test_comparison import Drawn
from tests.reconciliation.worlds import record_of, worlds


@given(worlds())
def test_the_same_is_found_with_and_without_what_agrees(drawn: Drawn) -> None:
    world, lags = drawn
    record, evidence = record_of(world, lags), world.evidence()
    assert compare(record, evidence) == compare_all(record, evidence)


@given(worlds())
def test_what_is_over_and_equal_is_left_out_with_its_fills(drawn: Drawn) -> None:
    world, _lags = drawn
    record, evidence = leave_out_agreeing(record_of(world, {}), world.evidence())
    left = evidence.orders.values()
    living = {(order.symbol, order.qty) for order in left if not _is_plainly_over(order)}
    assert not [order for order in left if _is_plainly_over(order) and (order.symbol, order.qty) not in living]
    assert {fill.broker_order_id for fill in record.fills.values()} <= set(evidence.orders)
    assert {order.broker_order_id for order in record.orders} == set(evidence.orders)
    assert set(evidence.fills) == set(record.fills)


def _is_plainly_over(order: BrokerOrder) -> bool:
    is_linked = order.replaces or order.replaced_by or order.leg_ids or order.raw.get("group_id")
    return order.status in {"filled", "canceled", "expired"} and not is_linked


@pytest.fixture
def sides() -> tuple[LocalRecord, BrokerEvidence]:
    """One filled order that both sides have, with its fill."""
    from benchmarks.comparison_alone import order_as_told
    from benchmarks.comparison_alone import sides as both_sides

    record, evidence = both_sides([order_as_told(number, 500) for number in (0, 1)])
    kept = evidence.orders[record.orders[1].broker_order_id]
    return (
        replace(record, orders=record.orders[1:], fills=_of(record.fills, kept)),
        replace(evidence, orders={kept.broker_order_id: kept}, fills=_of(evidence.fills, kept)),
    )


def _of(fills, order):
    return {key: fill for key, fill in fills.items() if fill.broker_order_id == order.broker_order_id}


def test_of_one_order_that_agrees_nothing_is_left(sides) -> None:
    record, evidence = leave_out_agreeing(*sides)
    assert (record.orders, dict(record.fills), dict(evidence.orders), dict(evidence.fills)) == ((), {}, {}, {})


@pytest.mark.parametrize(
    "change",
    [
        {"status": "canceled"},
        {"filled_qty": Decimal("0.5")},
        {"limit_price": Decimal(1)},
        {"time_in_force": "gtc"},
        {"order_class": "bracket"},
        {"leg_ids": ("leg",)},
        {"replaced_by": "another"},
        {"replaces": "another"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_order_of_which_anything_differs_stays(sides, change) -> None:
    record, evidence = sides
    other = {key: replace(order, **change) for key, order in evidence.orders.items()}
    assert leave_out_agreeing(record, replace(evidence, orders=other))[0].orders == record.orders


@pytest.mark.parametrize("change", [{"qty": Decimal(7)}, {"price": Decimal(7)}, {"side": "other"}], ids=str)
def test_an_order_with_a_fill_that_differs_stays(sides, change) -> None:
    record, evidence = sides
    other = {key: replace(fill, **change) for key, fill in evidence.fills.items()}
    assert leave_out_agreeing(record, replace(evidence, fills=other))[0].orders == record.orders
    assert leave_out_agreeing(replace(record, fills={}), evidence)[0].orders == record.orders
    assert leave_out_agreeing(record, replace(evidence, fills={}))[0].orders == record.orders


def test_an_order_with_a_fill_of_this_moment_stays(sides) -> None:
    record, evidence = sides
    at = next(iter(evidence.fills.values())).transaction_time
    assert leave_out_agreeing(record, replace(evidence, read_started_at=at))[0].orders == record.orders


def test_an_order_that_was_sent_twice_is_found_beside_the_one_that_agrees(sides) -> None:
    record, evidence = sides
    first = next(iter(evidence.orders.values()))
    for seconds, found in ((3, [Kind.DUPLICATE_SUBMISSION]), (30, [Kind.EXTERNAL_ORDER])):
        at = (first.created_at or evidence.read_started_at) + timedelta(seconds=seconds)
        again = replace(
            first, broker_order_id="again", client_order_id="by-hand", created_at=at, submitted_at=at, filled_at=at
        )
        seen = replace(evidence, orders={**evidence.orders, "again": again})
        assert [d.kind for d in compare(record, seen) if d.subject == "again"] == found
        assert compare(record, seen) == compare_all(record, seen)
