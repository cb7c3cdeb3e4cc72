"""Signs of life: each cluster has its own, and they go with it."""

import os
import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from work.clusters import ENVIRONMENT_NAME, queue_of
from work.heartbeat import beat, forget_ended_here, forget_old, last_beat, living_clusters, withdraw
from work.holders import this_process
from work.models import Heartbeat

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOST = socket.gethostname()
ELSEWHERE = "elsewhere:17:123.00@abc"


def beat_as(cluster: str, monkeypatch: pytest.MonkeyPatch, *, seconds_ago: float = 0) -> None:
    monkeypatch.setenv(ENVIRONMENT_NAME, cluster)
    for part in ("ticker", "worker", "results"):
        beat(part, now=NOW - timedelta(seconds=seconds_ago))
    monkeypatch.delenv(ENVIRONMENT_NAME)


def clusters() -> set[str]:
    return set(Heartbeat.objects.values_list("cluster", flat=True))


def test_each_cluster_has_its_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    beat_as(ELSEWHERE, monkeypatch, seconds_ago=9)
    for part in ("ticker", "worker", "results"):
        beat(part, now=NOW)
    assert Heartbeat.objects.count() == 6
    assert last_beat("worker") == NOW
    assert last_beat("worker", cluster=ELSEWHERE) == NOW - timedelta(seconds=9)
    assert last_beat("worker", cluster="another:1:1.00@") is None


def test_a_beat_moves_its_row_and_says_which_process_it_was() -> None:
    beat("ticker", now=NOW - timedelta(seconds=5))
    beat("ticker", now=NOW)
    row = Heartbeat.objects.get()
    assert (row.at, row.holder, row.cluster) == (NOW, this_process(), this_process())


def test_who_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    beat_as(ELSEWHERE, monkeypatch, seconds_ago=59)
    beat_as("silent:1:1.00@", monkeypatch, seconds_ago=61)
    beat_as(f"{HOST}:{os.getpid()}:1.00", monkeypatch)  # its process has ended: another has its number
    beat("ticker", now=NOW)
    assert living_clusters(NOW) == {ELSEWHERE, this_process()}


def test_an_orderly_stop_and_time_take_rows_away(monkeypatch: pytest.MonkeyPatch) -> None:
    beat_as(ELSEWHERE, monkeypatch)
    beat_as("silent:1:1.00@", monkeypatch, seconds_ago=25 * 3600)
    beat("ticker", now=NOW)
    withdraw(this_process())
    assert clusters() == {ELSEWHERE, "silent:1:1.00@"}
    forget_old(NOW)
    assert clusters() == {ELSEWHERE}


def test_a_start_forgets_what_ran_here_before(monkeypatch: pytest.MonkeyPatch) -> None:
    beat_as(ELSEWHERE, monkeypatch)
    beat_as(f"{HOST}:{os.getpid()}:1.00", monkeypatch)
    beat_as(f"{HOST}:1:1.00@before-the-restart", monkeypatch)
    Heartbeat.objects.create(name="ticker", at=NOW)  # from before clusters had names
    beat("ticker", now=NOW)
    forget_ended_here()
    assert clusters() == {ELSEWHERE, this_process()}


def test_queues_of_clusters_have_short_names_of_their_own() -> None:
    assert queue_of(ELSEWHERE) != queue_of(this_process())
    assert len(queue_of(ELSEWHERE)) < 40
