"""A split that changes a working order, too: one cause, one approval, and one undo for both."""

import uuid
from fractions import Fraction

import pytest

from broker.models import Account
from orders.models import Order
from reconciliation.split_terms import follows
from tests.reconciliation.steps import books, kinds, open_roots, placed, reconcile, record_as
from tests.reconciliation.test_corporate import apply_and_verify, hold, position, symbol, undo_last
from tests.simulation import SimAccount

__all__ = ["symbol"]
pytestmark = pytest.mark.django_db(transaction=True)


def working(account: Account, sim: SimAccount, name: str) -> Order:
    raw = placed(
        sim, symbol=name, qty="3", type="limit", limit_price="80.01", time_in_force="gtc", wait="new",
        client_order_id=f"ts-{uuid.uuid4().hex[:12]}",
    )  # fmt: skip
    return record_as(account, sim, raw)


def test_the_terms_of_a_working_order_follow_the_split(sim_account: Account, sim: SimAccount, symbol: str):
    hold(sim_account, sim, symbol)
    order = working(sim_account, sim, symbol)
    assert reconcile(sim_account).state == "in_sync"
    before = books()
    sim.act("split", symbol=symbol, ratio="4")

    assert reconcile(sim_account).state == "drift"
    ((root, consequences),) = kinds(sim_account).items()
    assert root == "split"
    assert sorted(consequences) == ["position_qty", "terms_differ"]
    (drift,) = open_roots(sim_account)
    assert drift.fix is not None
    shown = drift.fix.after["orders"][order.broker_order_id]
    assert shown == "qty 12, limit price 20"

    apply_and_verify(sim_account)
    order.refresh_from_db()
    assert (order.qty, order.limit_price) == (12, 20)
    assert (position(symbol).qty, position(symbol).avg_entry_price) == (40, 25)

    undo_last(sim_account)
    order.refresh_from_db()
    assert str(order.limit_price.normalize()) == "80.01"
    assert books() == before
    reconcile(sim_account)
    assert sorted(kinds(sim_account)["split"]) == ["position_qty", "terms_differ"]


@pytest.mark.parametrize(
    ("ours", "theirs", "does"),
    [
        ({"qty": "3", "limit_price": "80"}, {"qty": "12", "limit_price": "20"}, True),
        ({"qty": "3", "limit_price": "80.01"}, {"qty": "12", "limit_price": "20"}, True),
        ({"qty": "3", "limit_price": "80"}, {"qty": "12", "limit_price": "20.01"}, False),
        ({"qty": "3", "limit_price": "80"}, {"qty": "12", "limit_price": "80"}, False),
        ({"qty": "3", "limit_price": "80"}, {"qty": "11", "limit_price": "20"}, False),
        ({"qty": "3", "limit_price": "80", "side": "buy"}, {"qty": "12", "limit_price": "20", "side": "sell"}, False),
    ],
)
def test_only_terms_that_moved_by_the_ratio_follow_it(ours: dict[str, str], theirs: dict[str, str], does: bool):
    blank = dict.fromkeys(("qty", "limit_price", "stop_price", "trail_price"))
    differing = {name: value for name, value in ours.items() if theirs[name] != value}
    assert follows(blank | ours, blank | theirs, Fraction(4), differing) is does
