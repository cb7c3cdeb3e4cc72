"""Orders at Alpaca are followed to their end, in few requests, and the older the seldomer."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from orders.following import follow_orders
from orders.models import Fill, Order
from orders.sending import execute_batch
from tests.factories import NOW, make_order
from tests.orders.conftest import only_order, record, release
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = "symbol,side,qty,order_type,time_in_force,limit_price\nAAPL,buy,10,limit,gtc,100\n"


def many(count, limit="100"):
    head = "symbol,side,qty,order_type,time_in_force,limit_price\n"
    return head + "".join(f"AAPL,buy,{n},limit,gtc,{limit}\n" for n in range(1, count + 1))


def follow(account, **later):
    follow_orders(account_id=account.pk, now=timezone.now() + timedelta(**later))


@pytest.fixture
def high_price(sim):
    sim.price("AAPL", "150")


@pytest.mark.usefixtures("high_price")
def test_a_resting_order_is_booked_when_it_fills(sim, sim_account):
    batch = release(sim_account, LIMIT)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    assert order.status == "new"
    sim.price("AAPL", "99")
    sim.wait_for_status(order.client_order_id, "filled")
    follow(sim_account, seconds=3)
    order.refresh_from_db()
    assert order.status == "filled"
    assert sum((fill.qty for fill in order.fills.all()), Decimal(0)) == 10


@pytest.mark.usefixtures("high_price")
def test_a_cancel_from_outside_is_booked(sim, sim_account):
    batch = release(sim_account, LIMIT)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    sim.api("DELETE", f"/v2/orders/{order.broker_order_id}")
    sim.wait_for_status(order.client_order_id, "canceled")
    follow(sim_account, seconds=3)
    order.refresh_from_db()
    assert (order.status, order.is_booked) == ("canceled", True)


@pytest.mark.usefixtures("high_price")
def test_many_young_orders_cost_a_list(sim, sim_account):
    batch = release(sim_account, many(10))
    execute_batch(batch_id=batch.pk, now=timezone.now())
    sim.price("AAPL", "99")
    for order in batch.orders.all():
        sim.wait_for_status(order.client_order_id, "filled")
    before = len(sim.requests("GET", "/v2/orders")) + len(sim.requests("GET", "/v2/account/activities"))
    follow(sim_account, seconds=3)
    after = len(sim.requests("GET", "/v2/orders")) + len(sim.requests("GET", "/v2/account/activities"))
    assert after - before <= 4
    assert set(batch.orders.values_list("is_booked", flat=True)) == {True}
    assert Fill.objects.count() == 10


@pytest.mark.usefixtures("high_price")
def test_a_pass_has_a_bounded_number_of_requests(sim, sim_account, monkeypatch):
    monkeypatch.setattr("orders.following.MAX_CALLS", 8)
    batch = release(sim_account, many(11))
    execute_batch(batch_id=batch.pk, now=timezone.now())
    # Old ones that are no longer in the list of the open orders must be asked for one by one.
    Order.objects.update(confirmed_at=timezone.now() - timedelta(hours=2), followed_at=None)
    for order in batch.orders.all():
        sim.api("DELETE", f"/v2/orders/{order.broker_order_id}")
    wait_for(lambda: sim.api("GET", "/v2/orders") == [], "the cancels")
    passes = 0
    while batch.orders.filter(is_booked=False).exists():
        before = len(sim.requests())
        follow(sim_account, minutes=6 * passes)
        assert len(sim.requests()) - before <= 8
        passes += 1
        assert passes < 4
    assert passes == 2


@pytest.mark.usefixtures("high_price")
def test_an_unreachable_broker_changes_nothing(sim, sim_account, settings):
    batch = release(sim_account, LIMIT)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    follow(sim_account, seconds=3)
    assert only_order(batch).status == "new"


def test_a_market_order_is_asked_for_until_it_is_booked_and_no_longer(sim, sim_account):
    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    assert order.is_booked
    states = [r for r in sim.requests("GET") if r["path"].endswith(order.broker_order_id)]
    fills = sim.requests("GET", "/v2/account/activities/FILL")
    assert 1 <= len(states) <= 3
    assert len(fills) == 1


def test_only_linked_orders_that_are_not_booked_are_followed():
    due = make_order(confirmed_at=NOW)
    make_order(submission_state="unconfirmed")
    make_order(status="filled", is_booked=True, confirmed_at=NOW)
    make_order(status="filled", origin="import", confirmed_at=NOW)
    make_order(status="filled", confirmed_at=NOW - timedelta(days=2))
    lacking = make_order(status="filled", confirmed_at=NOW - timedelta(hours=2))
    assert set(Order.objects.to_follow(NOW)) == {due, lacking}


@pytest.mark.parametrize(
    ("age", "pause"),
    [(timedelta(minutes=1), 2), (timedelta(minutes=30), 30), (timedelta(hours=5), 300)],
)
def test_the_older_an_order_the_seldomer_it_is_asked_for(age, pause):
    make_order(confirmed_at=NOW - age, followed_at=NOW - timedelta(seconds=pause - 1))
    assert not Order.objects.to_follow(NOW).exists()
    Order.objects.update(followed_at=NOW - timedelta(seconds=pause))
    assert Order.objects.to_follow(NOW).exists()


def test_recorded_orders_are_nobody_s_to_follow(sim, sim_account):
    record(sim_account)
    follow(sim_account)
    assert sim.requests() == []


@pytest.mark.usefixtures("high_price")
def test_what_was_taken_back_is_not_booked_from_a_list(sim, sim_account):
    """Of several orders the list is read, which shows an execution that was corrected, its reversal and the new one."""
    batch = release(sim_account, many(5))
    execute_batch(batch_id=batch.pk, now=timezone.now())
    sim.price("AAPL", "99")
    orders = list(batch.orders.order_by("pk"))
    for order in orders:
        sim.wait_for_status(order.client_order_id, "filled")
    sim.act("correct", order_id=orders[2].broker_order_id, price="98")
    follow(sim_account, seconds=3)
    booked = {order.pk: list(order.fills.values_list("qty", "price")) for order in orders}
    assert booked[orders[2].pk] == [(Decimal(3), Decimal(98))]
    assert [len(fills) for fills in booked.values()] == [1] * 5
