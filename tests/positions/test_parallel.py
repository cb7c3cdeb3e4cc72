"""Several writers at once, each with a connection of its own: no fill is forgotten, nobody gets an error."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection, transaction

from broker.models import Account
from positions.models import Adjustment, ParameterChange, Position
from positions.opening import book_opening_balance
from positions.parameters import change_parameters
from positions.rebuilding import compute_positions, differences, rebuild_positions
from tests.factories import NOW, make_account, make_fill, make_order, minutes

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS = 6


def at_once(act) -> list:
    """Call `act(number)` in as many threads as there are writers, all started together."""
    together = Barrier(WRITERS)

    def run(number: int):
        try:
            together.wait(timeout=30)
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, n) for n in range(WRITERS)]]


def check_nothing_differs(account: Account) -> None:
    assert differences(Position.objects.filter(account=account), compute_positions(account, now=NOW)) == []


def test_fills_booked_at_the_same_time_are_all_in_the_position():
    account = make_account()
    orders = [make_order(account, side="buy" if n % 2 else "sell", status="filled") for n in range(WRITERS)]

    def book(number: int) -> None:
        for turn in range(5):
            with transaction.atomic():
                make_fill(orders[number], qty=str(number + 1), price="100", at=minutes(10 * turn + number))
                rebuild_positions(account=account, symbols=["QCOM", "NVDA"], now=minutes(turn))

    at_once(book)
    check_nothing_differs(account)
    held = sum((fill.qty if fill.side == "buy" else -fill.qty for fill in account.fills.all()), Decimal(0))
    assert account.fills.count() == WRITERS * 5
    assert sum((row.qty for row in Position.objects.all()), Decimal(0)) == held == Decimal(15)


def test_the_same_opening_balance_at_the_same_time_is_one():
    account = make_account()

    def book(number: int) -> int:
        return book_opening_balance(
            account=account,
            symbol="APH",
            qty=Decimal(58),
            price=Decimal(135),
            effective_at=NOW,
            reason="Held before.",
            is_estimated=True,
            actor=f"ops{number}",
            now=NOW,
        ).pk

    assert len(set(at_once(book))) == 1
    assert Adjustment.objects.count() == 1
    check_nothing_differs(account)


def test_a_change_of_parameters_and_fills_at_the_same_time_agree_in_the_end():
    account = make_account()
    make_fill(price="100")
    rebuild_positions(account=account, symbols=["QCOM"], now=NOW)

    def act(number: int) -> None:
        if number % 2:
            stop = Decimal(number)
            change_parameters(
                account=account, stop_loss_pct=stop, target_pct=stop, actor="ada", now=minutes(1), apply_to_open=True
            )
            return
        with transaction.atomic():
            make_fill(price="100", at=minutes(2))
            rebuild_positions(account=account, symbols=["QCOM"], now=minutes(2))

    at_once(act)
    check_nothing_differs(account)
    last = ParameterChange.objects.latest("id")
    row = Position.objects.get()
    assert (row.qty, row.stop_loss) == (Decimal(40), 100 - Decimal(last.after["stop_loss_pct"]))
