"""A task that is delivered twice, at the same time, sends each order once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.utils import timezone

from orders.models import Batch, OrderEvent
from orders.sending import execute_batch
from tests.orders.conftest import SEVEN, orders_at_broker, posts, release, states
from tests.orders.processes import end, start_executor
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def execute_in_threads(batch, count=3):
    barrier = threading.Barrier(count)

    def run():
        try:
            barrier.wait()
            execute_batch(batch_id=batch.pk, now=timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(run) for _ in range(count)]:
            future.result()


def assert_each_sent_once(sim, batch):
    assert len(posts(sim)) == len(orders_at_broker(sim)) == 7
    assert states(batch) == {"confirmed"}
    assert OrderEvent.objects.filter(order__batch=batch, kind="claimed").count() == 7
    assert OrderEvent.objects.filter(order__batch=batch, kind="confirmed").count() == 7
    batch.refresh_from_db()
    assert batch.state == Batch.State.FINISHED


def test_two_processes_send_each_order_once(sim, sim_account, tmp_path):
    batch = release(sim_account, SEVEN)
    go = tmp_path / "go"
    running = [start_executor(sim, batch.pk, go=go) for _ in range(2)]
    wait_for(lambda: len(list(tmp_path.iterdir())) == 2, "both processes", seconds=60)
    go.touch()
    ended = [end(process) for process in running]
    assert [status for status, _ in ended] == [0, 0], ended
    assert_each_sent_once(sim, batch)


def test_threads_send_each_order_once(sim, sim_account):
    batch = release(sim_account, SEVEN)
    execute_in_threads(batch)
    assert_each_sent_once(sim, batch)


def test_claims_keep_doubles_out_where_the_lease_does_not(sim, sim_account, monkeypatch):
    monkeypatch.setattr("orders.sending.leases.take", lambda *_, **__: True)
    batch = release(sim_account, SEVEN)
    execute_in_threads(batch)
    assert_each_sent_once(sim, batch)
