"""Positions of an imported history are built in blocks, and are what the whole ledger folded at once gives."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from broker.models import Account
from positions import building
from positions.building import build_positions
from positions.models import Position
from positions.rebuilding import compute_positions, differences, rebuild_positions
from tests.factories import NOW, make_account, make_adjustment, make_fill, make_order

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "FILLS_AT_ONCE", 4)


def trade(account: Account, symbol: str, *qtys: int, step: float = 1, start: float = 0) -> None:
    """Buy and sell (negative) so many shares, one after the other; with a step of 0 all at the same instant."""
    for number, qty in enumerate(qtys):
        at = NOW + timedelta(seconds=start + number * step)
        side = "buy" if qty > 0 else "sell"
        make_fill(account=account, symbol=symbol, side=side, qty=str(abs(qty)), price=str(90 + number), at=at)


def assert_as_folded_at_once(account: Account) -> None:
    stored, computed = Position.objects.filter(account=account), compute_positions(account, now=NOW)
    assert len(computed) > 0
    assert differences(stored, computed) == []
    assert {(row.last_price, row.last_price_at) for row in stored} == {(None, None)}


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.mark.parametrize("seed", range(5))
def test_random_histories(account: Account, seed: int) -> None:
    dice = random.Random(seed)
    for symbol in ("AAPL", "QCOM", "NVDA"):
        for start in range(dice.randint(1, 6)):
            qtys = [dice.choice([-10, -5, 5, 10, 15]) for _ in range(dice.randint(1, 9))]
            flat = [-sum(qtys)] if sum(qtys) and dice.random() < 0.6 else []
            trade(account, symbol, *qtys, *flat, step=dice.choice([0, 1]), start=start * 20)
    build_positions(account=account, symbols=["AAPL", "QCOM", "NVDA"], now=NOW)
    assert_as_folded_at_once(account)


@pytest.mark.parametrize(
    "qtys", [(10, -10) * 6, (10, -20, 20, -20, 10), (10,) * 11, (5, 5, -10, 10), (10, -25, 5, 10, 1, -1)]
)
@pytest.mark.parametrize("step", [0, 1])
def test_histories_by_their_shape(account: Account, qtys: tuple[int, ...], step: int) -> None:
    trade(account, "QCOM", *qtys, step=step)
    build_positions(account=account, symbols=["QCOM"], now=NOW)
    assert_as_folded_at_once(account)


def test_an_entry_that_waits_is_a_position_beside_what_was_closed(account: Account) -> None:
    trade(account, "QCOM", 10, -10)
    for symbol in ("QCOM", "KO"):
        make_order(account, symbol=symbol, side="sell", recorded_at=NOW)
    build_positions(account=account, symbols=["QCOM", "KO"], now=NOW)
    assert_as_folded_at_once(account)
    states = Position.objects.order_by("symbol", "sequence").values_list("symbol", "state", "side")
    assert list(states) == [("KO", "pending", "short"), ("QCOM", "closed", "long"), ("QCOM", "pending", "short")]


def test_brackets_of_ours_give_their_exits(account: Account) -> None:
    order = make_order(
        account, order_class="bracket", stop_loss_stop_price="81", take_profit_limit_price="133", status="filled"
    )
    make_fill(order)
    build_positions(account=account, symbols=["QCOM"], now=NOW)
    assert_as_folded_at_once(account)
    assert Position.objects.get().parameters_from == f"the bracket of order {order.pk}"


def test_what_is_more_than_fills_is_folded_at_once(account: Account) -> None:
    trade(account, "QCOM", 10, -10, 10)
    make_adjustment(account, kind="split", qty="0", price="0", ratio="2", effective_at=NOW + timedelta(seconds=9))
    build_positions(account=account, symbols=["QCOM"], now=NOW)
    assert_as_folded_at_once(account)


def test_a_build_that_was_stopped_is_finished_by_the_next(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    trade(account, "QCOM", *(10, -10) * 8)
    whole = building._ledger

    class Stopped(BaseException):
        """As a killed worker."""

    def break_off(*args: Any) -> Iterator[Any]:
        yield next(whole(*args))
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(building, "_ledger", break_off)
        with pytest.raises(Stopped):
            build_positions(account=account, symbols=["QCOM"], now=NOW)
    assert 0 < Position.objects.count() < 8
    build_positions(account=account, symbols=["QCOM"], now=NOW)
    assert_as_folded_at_once(account)


@pytest.mark.parametrize("start", [-100, 100])
def test_a_fill_that_is_booked_meanwhile_is_not_lost(
    account: Account, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    """Its process rebuilds the symbol: from the beginning the trades are others, or there is one more at the end."""
    trade(account, "QCOM", *(10, -10) * 8)
    whole = building._ledger

    def ledger_while_somebody_trades(*args: Any) -> Iterator[Any]:
        for number, page in enumerate(whole(*args)):
            yield page
            if number == 1:
                trade(account, "QCOM", 3, start=start)
                rebuild_positions(account=account, symbols=["QCOM"], now=NOW + timedelta(seconds=1))

    monkeypatch.setattr(building, "_ledger", ledger_while_somebody_trades)
    build_positions(account=account, symbols=["QCOM"], now=NOW)
    assert_as_folded_at_once(account)


def test_no_block_grows_with_the_history(account: Account) -> None:
    trade(account, "QCOM", *(10, -10) * 20)
    most = 0

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal most
        most = max(most, len(params) if many else 0)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        build_positions(account=account, symbols=["QCOM"], now=NOW)
    assert_as_folded_at_once(account)
    assert 0 < most <= 4


def test_trades_of_one_instant_are_not_cut_apart(account: Account) -> None:
    """By their ids the last came first: between the others nothing was held only as they happen to lie in the table."""
    for number, (side, qty) in enumerate([("buy", "10"), ("sell", "10"), ("buy", "5")]):
        make_fill(account=account, symbol="QCOM", side=side, qty=qty, at=NOW, activity_id=f"fill-{9 - number}")
    build_positions(account=account, symbols=["QCOM"], now=NOW)
    assert_as_folded_at_once(account)
