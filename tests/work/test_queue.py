"""Queueing while the queue's own server is away."""

import pytest
from django.db import OperationalError

from tests.factories import NOW
from work import leases, queue


@pytest.mark.django_db
def test_an_act_does_not_fail_because_the_queue_is_away(monkeypatch, caplog):
    """As a page that releases a batch: it is released, and the next look at the rows queues it."""

    def refuse(*_args, **_options):
        raise ConnectionError("Error 111 connecting to 127.0.0.1:6379. Connection refused.")

    monkeypatch.setattr(queue, "async_task", refuse)
    assert not queue.enqueue_once("execute:1", "orders.tasks.execute_batch_task", 1, now=NOW)
    assert "execute:1 could not be queued" in caplog.text
    assert not leases.is_free("queued:execute:1", now=NOW)


@pytest.mark.django_db
def test_a_database_that_is_away_is_told(monkeypatch):
    def refuse(*_args, **_options):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(queue, "async_task", refuse)
    with pytest.raises(OperationalError):
        queue.enqueue_once("execute:1", "orders.tasks.execute_batch_task", 1, now=NOW)
