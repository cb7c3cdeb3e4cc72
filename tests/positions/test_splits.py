"""A split on record: the stored position, the ledger's lines, the chart, and one that comes to light afterwards."""

from decimal import Decimal

import pytest

from positions.ledger_lines import ledger_lines
from positions.models import Position, PriceBar
from positions.price_chart import price_chart
from positions.rebuilding import compute_positions, differences, rebuild_position
from positions.timeline import of_ledger
from tests.factories import make_account, make_adjustment, make_fill, minutes

pytestmark = pytest.mark.django_db


def rebuilt() -> Position:
    rebuild_position(account=make_account(), symbol="QCOM", now=minutes(100))
    return Position.objects.get()


def split(ratio: str, at: float) -> None:
    make_adjustment(kind="split", qty="0", price="0", ratio=Decimal(ratio), effective_at=minutes(at))


def test_lines_say_what_was_executed_and_what_that_is_today():
    make_fill(qty="10", price="100", at=minutes(0))
    split("4", 5)
    make_fill(side="sell", qty="8", price="30", at=minutes(10))
    position = rebuilt()
    assert (position.qty, position.avg_entry_price, position.stop_loss, position.realized_pl) == (32, 25, 23, 40)
    bought, divided, sold = ledger_lines(position)
    assert [bought.qty, bought.price, bought.qty_today, bought.price_today] == [10, 100, 40, 25]
    assert [divided.held, sold.held] == [40, 32]
    assert not sold.is_rescaled
    texts = [(entry.text, entry.note) for entry in of_ledger([bought, divided])]
    assert texts[0] == ("Bought 10 at 100.00", "10 held after it; 40 at 25.00 in today's shares")
    assert texts[1][0] == "Split: 4 new shares for one old; the cost stays"
    assert not differences([position], compute_positions(make_account(), ["QCOM"], now=minutes(101)))


def test_candles_before_it_are_drawn_in_todays_shares():
    make_fill(qty="10", price="100", at=minutes(0))
    split("4", 5)
    for at, price in ((-60, "100"), (60, "26")):
        PriceBar.objects.create(
            account=make_account(), symbol="QCOM", timeframe="1Hour", starts_at=minutes(at), open=price, high=price,
            low=price, close=price, volume="1000",
        )  # fmt: skip
    position = rebuilt()
    drawn = str(price_chart(position, ledger_lines(position), "1Hour"))
    assert "in today&#x27;s shares 40 at 25.00" in drawn or "in today's shares 40 at 25.00" in drawn
    assert "4,000" in drawn


def test_one_that_comes_to_light_after_the_close_rescales_what_was_planned():
    make_fill(qty="10", price="100", at=minutes(0))
    assert rebuilt().stop_loss == 92
    make_fill(side="sell", qty="40", price="30", at=minutes(10))
    split("4", 5)
    closed = rebuilt()
    assert (closed.state, closed.realized_pl, closed.avg_entry_price) == ("closed", 200, 25)
    assert (closed.stop_loss, closed.target) == (23, 29)
