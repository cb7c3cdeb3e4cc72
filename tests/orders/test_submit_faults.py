"""Whatever becomes of the answer to a submit: one order at Alpaca, one row, confirmed."""

from typing import Any

import pytest
from django.utils import timezone

from broker.errors import BrokerUnauthorized, OrderRejected
from orders.models import Batch, Order
from orders.sending import execute_batch
from tests.orders.conftest import SEVEN, only_order, orders_at_broker, posts, release, settle_until, states
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def carry(batch, done):
    """Send and settle as the worker's sweeps do."""

    def look():
        execute_batch(batch_id=batch.pk, now=timezone.now())
        return done()

    settle_until(batch, look)


def is_finished(batch):
    batch.refresh_from_db()
    return batch.state == Batch.State.FINISHED


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("drop_answer", {}),
        ("delay_answer", {"seconds": 2}),
        ("status_after_accept", {"status": 504}),
        ("status_after_accept", {"status": 500, "html": True}),
        ("garbage", {}),
        ("truncated_body", {}),
        ("truncated_body", {"close": True}),
        ("hang", {"accept": True}),
        ("status", {"status": 429}),
    ],
)
def test_a_lost_answer_leaves_one_order_and_one_row(sim, sim_account, settings, fault, options):
    settings.BROKER_READ_TIMEOUT = 0.7
    settings.BROKER_CONNECT_TIMEOUT = 0.7
    if options.get("status") == 429:
        options = {**options, "headers": {"Retry-After": "1"}}
    sim.fault(fault, "POST", "/v2/orders", **options)
    batch = release(sim_account)
    carry(batch, lambda: is_finished(batch))
    order = only_order(batch)
    assert order.submission_state == "confirmed"
    [at_broker] = orders_at_broker(sim)
    assert at_broker["id"] == order.broker_order_id
    assert Order.objects.count() == 1


@pytest.mark.parametrize(("fault", "options"), [("status", {"status": 504}), ("status", {"status": 500}), ("hang", {})])
@pytest.mark.usefixtures("quick_settling")
def test_what_never_arrived_is_sent_again_under_the_same_id(sim, sim_account, settings, fault, options):
    settings.BROKER_READ_TIMEOUT = 0.7
    sim.fault(fault, "POST", "/v2/orders", **options)
    batch = release(sim_account)
    carry(batch, lambda: is_finished(batch))
    order = only_order(batch)
    assert order.submission_state == "confirmed"
    assert order.send_count == 2
    assert [request["client_order_id"] for request in posts(sim)] == [order.client_order_id] * 2
    assert len(orders_at_broker(sim)) == 1


@pytest.mark.usefixtures("quick_settling")
def test_an_order_that_arrives_after_it_was_given_up_is_not_doubled(sim, sim_account, settings):
    settings.BROKER_READ_TIMEOUT = 0.3
    sim.fault("delay_accept", "POST", "/v2/orders", seconds=3)
    batch = release(sim_account)
    carry(batch, lambda: is_finished(batch))
    wait_for(lambda: [r for r in posts(sim) if r["status"]][1:], "the answers to both attempts")
    assert len(orders_at_broker(sim)) == 1
    assert only_order(batch).submission_state == "confirmed"


@pytest.mark.usefixtures("quick_settling")
def test_an_old_order_that_never_arrived_is_left_to_a_person(sim, sim_account, settings):
    settings.RESEND_WITHIN_SECONDS = 0
    sim.fault("status", "POST", "/v2/orders", status=504)
    batch = release(sim_account)
    carry(batch, lambda: is_finished(batch))
    assert only_order(batch).submission_state == "not_placed"
    assert len(posts(sim)) == 1


def test_a_look_up_that_fails_counts_for_nothing(sim, sim_account):
    sim.fault("status", "POST", "/v2/orders", status=504)
    sim.fault("status", "GET", "/v2/orders:by_client_order_id", times=3, status=500)
    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    assert order.submission_state == "unconfirmed"
    assert order.lookup_count == 0
    assert order.looked_up_at is not None


def test_one_404_is_no_proof(sim, sim_account):
    sim.fault("status", "POST", "/v2/orders", status=504)
    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    assert (order.submission_state, order.lookup_count) == ("unconfirmed", 1)


def test_every_second_answer_lost_still_means_seven_orders(sim, sim_account):
    for after in (0, 2, 4):
        sim.fault("drop_answer", "POST", "/v2/orders", after=after)
    batch = release(sim_account, SEVEN)
    carry(batch, lambda: is_finished(batch))
    assert states(batch) == {"confirmed"}
    assert len(orders_at_broker(sim)) == 7
    ids = set(batch.orders.values_list("client_order_id", flat=True))
    assert {order["client_order_id"] for order in orders_at_broker(sim)} == ids


def test_after_429_the_rest_of_the_batch_waits_too(sim, sim_account, settings):
    settings.ORDERS_IN_FLIGHT = 1
    sim.fault("status", "POST", "/v2/orders", status=429, headers={"Retry-After": "2"})
    batch = release(sim_account, SEVEN)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert states(batch) == {"recorded"}
    assert len(posts(sim)) == 1
    assert not batch.orders.filter(not_before__isnull=True).exists()
    assert batch.orders.exclude(refusal="").count() == 7


def test_refused_keys_send_nothing_and_say_why(sim, sim_account, settings):
    settings.ALPACA_API_KEY = "unauthorized"
    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    assert order.submission_state == "recorded"
    assert order.refusal
    assert order.not_before is not None
    assert (order.not_before - timezone.now()).total_seconds() > 20


def test_a_broker_that_is_away_delays_the_order(sim, sim_account, settings):
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert only_order(batch).submission_state == "recorded"
    settings.ALPACA_BASE_URL = sim.url
    carry(batch, lambda: is_finished(batch))
    assert only_order(batch).submission_state == "confirmed"
    assert len(orders_at_broker(sim)) == 1


class RefusingGateway:
    """Refuses every submit, though the order is there: the first attempt holds the buying power."""

    def __init__(self, gateway, error):
        self.gateway, self.error = gateway, error

    def submit_order(self, request):
        raise self.error

    def get_order_by_client_id(self, client_order_id):
        return self.gateway.get_order_by_client_id(client_order_id)


def test_a_refusal_of_the_second_attempt_is_looked_into(sim, sim_account):
    from broker.gateway import open_gateway
    from orders.outcomes import Accepted, Later, Refused, Unknown, post

    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    gateway: Any = RefusingGateway(open_gateway(sim_account), OrderRejected("insufficient buying power"))
    order.send_count = 2
    assert isinstance(post(gateway, order), Accepted)
    order.client_order_id = "ts-unknown"
    assert isinstance(post(gateway, order), Refused)
    gateway.error = BrokerUnauthorized("unauthorized")
    assert post(gateway, order) == Later("unauthorized", 30.0)
    gateway.error = ZeroDivisionError()
    assert isinstance(post(gateway, order), Unknown)
