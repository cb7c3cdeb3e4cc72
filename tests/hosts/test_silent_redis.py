"""A Redis that takes connections and never answers, as one behind a dead network."""

import socket
import time
from collections.abc import Iterator

import pytest
import redis
from django_q.conf import Conf

from tradingsite import queue_brokers
from tradingsite.queue_brokers import RedisQueue


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_it_holds_nobody_up_for_long(silent, monkeypatch):
    monkeypatch.setattr(Conf, "REDIS", silent)
    monkeypatch.setattr(queue_brokers, "_ANSWER_SECONDS", 0.5)
    began = time.monotonic()
    with RedisQueue.get_connection() as connection, pytest.raises(redis.exceptions.TimeoutError):
        connection.llen("django_q:trading:q")
    assert time.monotonic() - began < 4


def test_the_address_has_the_last_word(silent, monkeypatch):
    monkeypatch.setattr(Conf, "REDIS", f"{silent}?socket_timeout=0.2")
    began = time.monotonic()
    with RedisQueue.get_connection() as connection, pytest.raises(redis.exceptions.TimeoutError):
        connection.llen("django_q:trading:q")
    assert time.monotonic() - began < 2
