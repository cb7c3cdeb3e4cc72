"""The day of 6 November: another process holds the write lock after Alpaca has accepted. Nothing is lost."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from orders.models import Batch, Fill
from orders.patience import until_written
from orders.sending import execute_batch
from tests.databases import address_in_use, hold_write_lock
from tests.orders.conftest import SEVEN, orders_at_broker, posts, release, states
from tests.orders.processes import end
from tests.simulation import wait_for


@contextmanager
def executing(batch):
    """Execute in a thread, as the worker would in its process."""

    def run():
        try:
            execute_batch(batch_id=batch.pk, now=timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(run)


def lock_in_the_middle(sim, batch, *, seconds):
    """Take the lock when Alpaca has the first orders and we do not know it yet; return when it was let go."""
    sim.fault("delay_answer", "POST", "/v2/orders", times=7, seconds=0.5)
    with executing(batch) as future:
        wait_for(lambda: orders_at_broker(sim), "the first order")
        locker = hold_write_lock(address_in_use(), seconds)
        assert states(batch) != {"confirmed"}
        end(locker)
        released = time.monotonic()
        future.result(timeout=60)
    return time.monotonic() - released


def assert_all_is_booked(sim, batch):
    assert states(batch) == {"confirmed"}
    assert len(posts(sim)) == len(orders_at_broker(sim)) == 7
    batch.refresh_from_db()
    assert batch.state == Batch.State.FINISHED
    assert Fill.objects.filter(order__batch=batch).count() == 7


@pytest.mark.django_db(transaction=True)
def test_a_lock_in_the_middle_delays_and_loses_nothing(sim, sim_account):
    batch = release(sim_account, SEVEN)
    assert lock_in_the_middle(sim, batch, seconds=3) < 10
    assert_all_is_booked(sim, batch)


@pytest.mark.django_db(transaction=True)
def test_a_lock_of_twenty_seconds_is_over_within_ten(sim, sim_account, caplog):
    batch = release(sim_account, SEVEN)
    assert lock_in_the_middle(sim, batch, seconds=20) < 10
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert_all_is_booked(sim, batch)


@pytest.mark.django_db(transaction=True)
def test_a_lock_beyond_the_database_s_own_patience_is_outwaited(sim, sim_account, monkeypatch, caplog):
    patience = {"timeout": 0.2} if connection.vendor == "sqlite" else {"options": "-c lock_timeout=200"}
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], *patience.popitem())
    batch = release(sim_account, SEVEN)
    lock_in_the_middle(sim, batch, seconds=3)
    assert any("does not take a write" in record.message for record in caplog.records)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert_all_is_booked(sim, batch)


def test_patience_ends_and_then_the_error_is_raised():
    waited: list[float] = []

    def locked():
        raise OperationalError("database is locked")

    with pytest.raises(OperationalError):
        until_written(locked, patience=60, sleep=waited.append, clock=lambda: sum(waited))
    assert 50 < sum(waited) <= 60
    assert max(waited) == 5


def test_what_is_no_matter_of_patience_is_raised_at_once():
    def broken():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        until_written(broken, sleep=lambda _: pytest.fail("waited"))
