"""A bust is listed as the same execution with a negative quantity: which one does it take back?"""

from datetime import UTC, datetime
from decimal import Decimal

from broker.taken_back import without_taken_back
from broker.types import BrokerActivity, BrokerFill


def fill(name: str, second: int, qty: str = "1", price: str = "100", order: str = "o") -> BrokerFill:
    return BrokerFill(
        activity_id=name, broker_order_id=order, symbol="KO", side="buy", qty=Decimal(qty), price=Decimal(price),
        cum_qty=None, leaves_qty=None, transaction_time=datetime(2026, 3, 6, 15, 0, second, tzinfo=UTC), raw={},
    )  # fmt: skip


def bust(second: int | None, qty: str = "-1", price: str = "100", order: str = "o") -> BrokerActivity:
    raw = {"order_id": order}
    if second is not None:
        raw["transaction_time"] = f"2026-03-06T15:00:{second:02}.5Z"
    return BrokerActivity(
        activity_id="bust", activity_type="FILL", symbol="KO", qty=Decimal(qty), price=Decimal(price),
        net_amount=None, day="2026-03-06", raw=raw,
    )  # fmt: skip


def left(fills: list[BrokerFill], *others: BrokerActivity) -> list[str]:
    return list(without_taken_back({each.activity_id: each for each in fills}, others))


def test_the_last_one_before_it_is_taken_back() -> None:
    assert left([fill("a", 1), fill("b", 2)], bust(3)) == ["a"]


def test_what_was_executed_later_stands() -> None:
    assert left([fill("a", 1), fill("b", 5)], bust(3)) == ["b"]


def test_one_that_lies_before_the_fills_that_were_read_takes_no_other() -> None:
    assert left([fill("b", 5)], bust(3)) == ["b"]


def test_each_takes_one() -> None:
    assert left([fill("a", 1), fill("b", 2), fill("c", 9)], bust(3), bust(4)) == ["c"]


def test_without_a_time_the_last_one_is_meant() -> None:
    assert left([fill("a", 1), fill("b", 5)], bust(None)) == ["a"]


def test_other_shares_prices_and_orders_stand() -> None:
    fills = [fill("a", 1, qty="2"), fill("b", 1, price="99"), fill("c", 1, order="other")]
    assert left(fills, bust(3)) == ["a", "b", "c"]
