"""Last prices on open positions, and what a row makes of its own."""

from decimal import Decimal
from typing import Any

import pytest

from positions.models import Position
from positions.prices import note_prices
from positions.rebuilding import rebuild_positions
from tests.factories import NOW, make_account, make_fill, minutes


def position(**fields):
    defaults = {"qty": 10, "cost_basis": 1000, "entry_qty": 10, "stop_loss": 92, "target": 116, "last_price": 105}
    given = {**defaults, **fields}
    numbers: dict[str, Any] = {name: None if value is None else Decimal(value) for name, value in given.items()}
    return Position(state="open", side="long" if numbers["qty"] > 0 else "short", **numbers)


def test_a_long_that_rose():
    row = position()
    assert (row.market_value, row.unrealized_pl, row.unrealized_pl_fraction) == (1050, 50, Decimal("0.05"))
    assert round(row.stop_distance, 4) == Decimal("0.1238")
    assert round(row.target_distance, 4) == Decimal("0.1048")


def test_a_short_that_rose():
    row = position(qty=-10, cost_basis=-1000, stop_loss=108, target=84)
    assert (row.market_value, row.unrealized_pl, row.unrealized_pl_fraction) == (-1050, -50, Decimal("-0.05"))
    assert round(row.stop_distance, 4) == Decimal("0.0286")
    assert round(row.target_distance, 4) == Decimal("0.2000")


def test_beyond_the_stop_the_distance_is_negative():
    assert position(last_price=90).stop_distance < 0
    assert position(last_price=120).target_distance < 0


def test_without_a_price_nothing_is_claimed():
    row = position(last_price=None)
    assert [row.market_value, row.unrealized_pl, row.unrealized_pl_fraction] == [None, None, None]
    assert [row.stop_distance, row.target_distance] == [None, None]


@pytest.mark.django_db
def test_prices_are_noted_on_open_positions_only_when_they_changed(django_assert_num_queries):
    account = make_account()
    for symbol in ("QCOM", "NVDA"):
        make_fill(symbol=symbol)
    make_fill(symbol="IBKR", at=minutes(0))
    make_fill(symbol="IBKR", side="sell", at=minutes(1))
    rebuild_positions(account=account, symbols=["QCOM", "NVDA", "IBKR"], now=NOW)
    prices = {"QCOM": Decimal("101.5"), "IBKR": Decimal(1), "TSLA": Decimal(2)}
    assert note_prices(account=account, prices=prices, now=minutes(2)) == 1
    row = Position.objects.get(symbol="QCOM")
    assert (row.last_price, row.last_price_at) == (Decimal("101.5"), minutes(2))
    assert Position.objects.exclude(symbol="QCOM").exclude(last_price=None).count() == 0
    with django_assert_num_queries(1):
        assert note_prices(account=account, prices=prices, now=minutes(3)) == 0


@pytest.mark.django_db
def test_a_rebuild_keeps_the_last_price():
    make_fill()
    rebuild_positions(account=make_account(), symbols=["QCOM"], now=NOW)
    note_prices(account=make_account(), prices={"QCOM": Decimal(7)}, now=minutes(1))
    make_fill(at=minutes(2))
    rebuild_positions(account=make_account(), symbols=["QCOM"], now=minutes(2))
    assert Position.objects.get().last_price == 7
