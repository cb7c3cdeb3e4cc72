"""What a reading knows beforehand: an order's state may be ahead of the fills that are booked of it."""

from decimal import Decimal

import pytest

from reconciliation.reading_plan import Window, plan_reading
from tests.factories import make_account, make_fill, make_order


@pytest.mark.django_db
def test_what_is_in_the_ledger_of_a_working_order_is_its_fills_and_not_its_state():
    account = make_account()
    made = [make_order(status="partially_filled", filled_qty="5"), make_order(status="new")]
    make_fill(made[0], qty="3")
    plan = plan_reading(account=account, window=Window(orders_after=None, activities_after=None))
    assert plan.filled_qtys == {made[0].broker_order_id: Decimal(3), made[1].broker_order_id: Decimal(0)}
