"""kill -9 at every step of sending, with restart: each order once at Alpaca, once in the books, its fills complete."""

import signal
from decimal import Decimal

import pytest
from django.utils import timezone

from orders.crash_points import POINTS
from orders.models import Batch, Fill, Order
from orders.sending import execute_batch
from tests.orders.conftest import orders_at_broker, release, settle_until, states
from tests.orders.processes import end, start_executor
from tests.simulation import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_settling")]
THREE = "symbol,side,qty\nAAPL,buy,2\nMSFT,buy,3\nF,buy,5\n"


def restart_and_finish(batch):
    """What the worker's ticker does after a restart, until nothing is left to do."""

    def look():
        execute_batch(batch_id=batch.pk, now=timezone.now())
        batch.refresh_from_db()
        return batch.state == Batch.State.FINISHED

    settle_until(batch, look)


def assert_exactly_once(sim, batch):
    assert states(batch) == {"confirmed"}
    at_broker = orders_at_broker(sim)
    assert len(at_broker) == Order.objects.count() == 3
    assert {row["id"] for row in at_broker} == set(batch.orders.values_list("broker_order_id", flat=True))
    for order in batch.orders.all():
        assert order.status == "filled"
        assert sum((fill.qty for fill in order.fills.all()), Decimal(0)) == order.filled_qty == order.qty
    assert Fill.objects.count() == 3


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(sim, sim_account, point):
    batch = release(sim_account, THREE)
    status, output = end(start_executor(sim, batch.pk, CRASH_POINT=point, ORDERS_IN_FLIGHT=2))
    assert status == -signal.SIGKILL, output
    assert "finished" not in states(batch)
    restart_and_finish(batch)
    assert_exactly_once(sim, batch)


def test_killed_after_alpaca_accepted_and_before_the_answer(sim, sim_account):
    sim.fault("delay_answer", "POST", "/v2/orders", times=None, seconds=30)
    batch = release(sim_account, THREE)
    process = start_executor(sim, batch.pk, ORDERS_IN_FLIGHT=3)
    wait_for(lambda: len(orders_at_broker(sim)) == 3, "the three orders", seconds=60)
    process.kill()
    end(process)
    assert states(batch) == {"submitting"}
    sim.clear_faults()
    restart_and_finish(batch)
    assert_exactly_once(sim, batch)


def test_crash_points_do_nothing_by_themselves_or_with_real_keys(monkeypatch, settings):
    from orders.crash_points import reached

    reached("after_claim")
    monkeypatch.setenv("CRASH_POINT", "after_claim")
    settings.ALPACA_ENV = "paper"
    reached("after_claim")
