"""The queue is looked at often, and its rows are read only if something was written since it was empty."""

import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django_q.conf import Conf
from django_q.models import OrmQ

from tests.databases import ABOUT_SQLITE, IS_ON_POSTGRESQL
from tradingsite.queue_brokers import OrmQueue

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(IS_ON_POSTGRESQL, reason=ABOUT_SQLITE),
]
ROW = "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('trading', 'from elsewhere', '2025-01-01 00:00:00')"


class Reads(list[str]):
    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        self.append(sql)
        return execute(sql, *rest)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> OrmQueue:
    monkeypatch.setattr(Conf, "POLL", 0)
    return OrmQueue("trading")


def reads_of(queue: OrmQueue, looks: int) -> int:
    reads = Reads()
    with connection.execute_wrapper(reads):
        for _ in range(looks):
            assert not queue.dequeue()
    return len([sql for sql in reads if "PRAGMA" not in sql])


def test_an_empty_queue_is_read_once(queue: OrmQueue) -> None:
    assert reads_of(queue, 40) == 1


def test_what_another_process_queues_is_found_at_the_next_look(queue: OrmQueue) -> None:
    assert reads_of(queue, 3) == 1
    other = sqlite3.connect(connection.settings_dict["NAME"], uri=True)
    with other:
        other.execute(ROW)
    other.close()
    ((_pk, payload),) = queue.dequeue() or []
    assert payload == "from elsewhere"


def test_what_this_process_queues_is_found_at_the_next_look(queue: OrmQueue) -> None:
    assert reads_of(queue, 3) == 1
    queue.enqueue("from here")
    assert [payload for _pk, payload in queue.dequeue() or []] == ["from here"]


def test_a_lock_that_expires_without_a_write_is_found(queue: OrmQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue("given back by time alone")
    assert queue.dequeue()
    assert reads_of(queue, 5) <= 2
    begun = time.monotonic()
    monkeypatch.setattr("tradingsite.queue_brokers.time.monotonic", lambda: begun + 2)
    assert reads_of(queue, 1) == 1
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize("is_written", [True, False])
def test_a_write_ends_the_rest_of_an_empty_queue(
    queue: OrmQueue, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    """No clock: what is counted are the looks of a rest that would take ten of them."""
    looks = []
    other = sqlite3.connect(connection.settings_dict["NAME"], uri=True)
    begun = time.monotonic()

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if is_written and len(looks) == 3:
            with other:
                other.execute(ROW)

    monkeypatch.setattr(Conf, "POLL", 0.19)
    monkeypatch.setattr("tradingsite.queue_brokers.time.sleep", sleep)
    monkeypatch.setattr("tradingsite.queue_brokers.time.monotonic", lambda: begun + sum(looks))
    assert not queue.dequeue()
    assert len(looks) == (3 if is_written else 10)
    assert bool(queue.dequeue()) is is_written
    other.close()
