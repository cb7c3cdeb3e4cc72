"""Threads of one process write one after the other on SQLite, and wake each other instead of sleeping at its lock."""

import threading
import time

import pytest

from orders.patience import until_written

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqlite_only")]


def test_only_one_thread_writes_at_a_time():
    inside: list[int] = []
    most: list[int] = []

    def write() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()

    threads = [threading.Thread(target=until_written, args=(write,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1, 1, 1, 1]


def test_a_write_that_fails_keeps_no_other_back():
    def fail() -> None:
        raise ValueError("not written")

    with pytest.raises(ValueError, match="not written"):
        until_written(fail)
    done: list[int] = []
    thread = threading.Thread(target=until_written, args=(lambda: done.append(1),))
    thread.start()
    thread.join(10)
    assert done == [1]


def test_a_write_within_a_write_is_no_deadlock():
    assert until_written(lambda: until_written(lambda: "written")) == "written"
