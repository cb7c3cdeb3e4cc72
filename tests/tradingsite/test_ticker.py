"""The ticker's steps, one by one: what it queues, what it gives back, what it survives."""

import logging
import math
import os
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from tradingsite import deliveries
from tradingsite.cluster_signs import Signs
from tradingsite.ticker import Ticker
from tradingsite.watchdog import Watchdog
from work import leases
from work.clusters import ENVIRONMENT_NAME, queue_of
from work.heartbeat import beat, last_beat
from work.holders import this_process
from work.models import DroppedDelivery, Heartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture
def due(monkeypatch):
    """Due work that does what the test wants."""
    calls: list[Exception | None] = []

    def queue_due_work(_now: object) -> int:
        outcome = calls.pop(0) if calls else None
        if outcome:
            raise outcome
        return 0

    monkeypatch.setattr("tradingsite.ticker.queue_due_work", queue_due_work)
    monkeypatch.setattr("tradingsite.ticker.connection.close", lambda: None)
    return calls


OWN = queue_of(this_process())


def delivery(*, locked_for: float, key: str = OWN) -> OrmQ:
    return OrmQ.objects.create(key=key, payload="x", lock=timezone.now() + timedelta(seconds=locked_for))


def test_a_tick_beats_and_queues_one_heartbeat(due):
    ticker = Ticker()
    assert ticker._tick()
    assert ticker._tick()
    assert last_beat("ticker") is not None
    assert [(row.name(), row.key) for row in OrmQ.objects.all()] == [("heartbeat", OWN)]


def test_the_next_heartbeat_goes_out_when_the_last_has_come_through(due, monkeypatch):
    monkeypatch.setattr("tradingsite.ticker.BEAT_SECONDS", 0)
    ticker = Ticker()
    ticker._tick()
    beat("worker", now=timezone.now())
    ticker._tick()  # it is heard of
    ticker._tick()
    ticker._tick()
    assert OrmQ.objects.count() == 2


def test_a_late_first_look_is_no_sign_of_life(due):
    """The cluster would be taken for one that has worked, and condemned for the time that its start takes."""
    ticker = Ticker()
    ticker._tick()
    assert ticker.pulse
    assert ticker.pulse.executed_at == ticker.pulse.acknowledged_at == -math.inf
    watchdog = Watchdog(workers=1, task_timeout=600)
    watchdog.watch(os.getpid(), at=ticker.pulse.read_at - 15)
    assert watchdog.complaint(ticker.pulse, read_signs=lambda _main: Signs()) is None
    assert not watchdog.has_worked


def test_only_the_own_clusters_pulse_is_felt(due, monkeypatch):
    ticker = Ticker()
    ticker._tick()
    first = ticker.pulse
    monkeypatch.setenv(ENVIRONMENT_NAME, "elsewhere:1:2.00@")
    beat("worker", now=timezone.now())
    beat("results", now=timezone.now())
    monkeypatch.delenv(ENVIRONMENT_NAME)
    ticker._tick()
    assert first
    assert ticker.pulse
    assert (ticker.pulse.executed_at, ticker.pulse.acknowledged_at) == (first.executed_at, first.acknowledged_at)


def test_the_pulse_sees_heartbeats_and_who_holds_leases(due):
    ticker = Ticker()
    ticker._tick()
    first = ticker.pulse
    beat("worker", now=timezone.now())
    leases.take("execute:1", seconds=60, now=timezone.now())
    ticker._tick()
    assert first
    assert ticker.pulse
    assert ticker.pulse.executed_at > first.executed_at
    assert ticker.pulse.acknowledged_at == first.acknowledged_at
    assert ticker.pulse.lease_holders == {int(this_process().split(":")[1])}


def test_a_tick_that_had_to_wait_excuses_the_silence_before_it(due, monkeypatch):
    """Another process held the write lock: the pulse that is felt right after it must not condemn anybody."""
    ticker = Ticker()
    ticker._tick()
    first = ticker.pulse
    monkeypatch.setattr("tradingsite.ticker._SLOW_SECONDS", -1)
    ticker._tick()
    assert first
    assert ticker.pulse
    assert ticker.pulse.undisturbed_since > first.read_at


def test_what_a_dead_cluster_had_in_hand_is_delivered_again(due):
    held, waiting = delivery(locked_for=settings.Q_CLUSTER["retry"] - 5), delivery(locked_for=-5)
    ticker = Ticker()
    ticker.cluster_died()
    ticker._tick()
    held.refresh_from_db()
    waiting.refresh_from_db()
    assert held.lock <= timezone.now()
    assert waiting.lock < held.lock


def test_what_the_next_cluster_took_meanwhile_stays_its_own(due):
    ticker = Ticker()
    ticker.cluster_died()
    taken = delivery(locked_for=settings.Q_CLUSTER["retry"] + 1)
    ticker._tick()
    taken.refresh_from_db()
    assert taken.lock > timezone.now()


def test_a_delivery_that_kills_one_cluster_after_the_other_is_dropped(due, caplog):
    async_task("orders.tasks.execute_batch_task", 7, task_name="execute:7", cluster=OWN)
    deadly, harmless = OrmQ.objects.get(), delivery(locked_for=-100)
    ticker = Ticker()
    for _ in range(3):
        OrmQ.objects.filter(pk=deadly.pk).update(lock=timezone.now() + timedelta(seconds=100))
        ticker.cluster_died()
        ticker._tick()
    assert not OrmQ.objects.filter(pk=deadly.pk).exists()
    assert OrmQ.objects.filter(pk=harmless.pk).exists()
    assert "saw 3 clusters die and is dropped" in caplog.text
    dropped = DroppedDelivery.objects.get()
    assert (dropped.name, dropped.function, dropped.deaths) == ("execute:7", "orders.tasks.execute_batch_task", 3)


def test_what_another_cluster_has_in_hand_is_left_alone(due):
    """Once given back with each death of ours, it was dropped while the other one was working on it."""
    other = "elsewhere:1:2.00@"
    Heartbeat.objects.create(name="ticker", cluster=other, at=timezone.now())
    theirs = delivery(locked_for=settings.Q_CLUSTER["retry"] - 5, key=queue_of(other))
    ticker = Ticker()
    for _ in range(3):
        ticker.cluster_died()
        ticker._tick()
    theirs.refresh_from_db()
    assert theirs.key == queue_of(other)
    assert theirs.lock > timezone.now()
    assert not DroppedDelivery.objects.exists()


def test_what_a_silent_cluster_had_in_hand_is_taken_over(due, caplog):
    other = "elsewhere:1:2.00@"
    Heartbeat.objects.create(name="ticker", cluster=other, at=timezone.now() - timedelta(seconds=61))
    theirs = delivery(locked_for=settings.Q_CLUSTER["retry"] - 5, key=queue_of(other))
    Ticker()._tick()
    theirs.refresh_from_db()
    assert theirs.key == "trading"
    assert theirs.lock <= timezone.now()
    assert "1 tasks of a worker that gives no sign of life" in caplog.text


def test_a_locked_database_is_said_once_and_survived(due, caplog):
    caplog.set_level(logging.WARNING)
    due += [OperationalError("database is locked"), OperationalError("database is locked"), None]
    ticker = Ticker()
    assert [ticker._tick() for _ in range(3)] == [False, False, True]
    said = [record.message for record in caplog.records]
    assert said == ["ticker: OperationalError: database is locked; trying again", "ticker: works again"]


def test_a_fault_in_the_due_work_does_not_end_the_heartbeats(due, caplog):
    due += [ZeroDivisionError("a fault")]
    ticker = Ticker()
    assert ticker._tick()
    assert "ZeroDivisionError: a fault" in caplog.text
    assert ticker.pulse


def test_the_thread_ends_when_told(due):
    ticker = Ticker()
    ticker.start()
    began = time.monotonic()
    ticker.stop()
    assert not ticker.is_alive()
    assert time.monotonic() - began < 3


def test_a_death_while_the_one_before_is_dealt_with_is_not_forgotten(due, monkeypatch):
    """A locked database can make the ticker wait for a minute, and the next cluster may not live that long."""
    ticker = Ticker()
    ticker.cluster_died()
    drop = deliveries.drop

    def drop_late(deadly, *, now):
        drop(deadly, now=now)
        monkeypatch.setattr("tradingsite.ticker.drop", drop)
        ticker.cluster_died()

    monkeypatch.setattr("tradingsite.ticker.drop", drop_late)
    ticker._tick()
    held = delivery(locked_for=settings.Q_CLUSTER["retry"] - 5)
    ticker._tick()
    held.refresh_from_db()
    assert held.lock <= timezone.now()
