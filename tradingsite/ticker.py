"""The clock of a worker: twice a second it looks which work is due, and feels the cluster's pulse.

A thread of the worker's parent process, which never forks. It survives every error: a locked or absent database
delays work and loses none.
"""

import logging
import math
import threading
import time
from collections import Counter
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from tradingsite.cluster_signs import HEARTBEAT_FUNCTION
from tradingsite.common_ground import disagreement
from tradingsite.deliveries import DEADLY_AFTER, drop, give_back_of_the_dead
from tradingsite.due_work import queue_due_work
from tradingsite.watchdog import Pulse
from work.clusters import queue_of, this_cluster
from work.heartbeat import beat, forget_old, last_beat
from work.holders import local_pid
from work.models import Lease
from work.queue import LOST_AFTER_SECONDS

TICK_SECONDS = 0.5
BEAT_SECONDS = 3.0
COMPARE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 10.0
#: A step that takes this long had to wait for the database.
_SLOW_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Ticker(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="ticker", daemon=True)
        self.pulse: Pulse | None = None
        self._stopping = threading.Event()
        self._noting_death = threading.Lock()
        self._cluster_died_at: datetime | None = None
        self._deaths: Counter[int] = Counter()
        self._own_queue = queue_of(this_cluster())
        self._beaten_at = 0.0
        self._heartbeat_sent_at = -math.inf
        self._compared_at = time.monotonic()
        self._undisturbed_since = self._tick_began = time.monotonic()
        self._heard: dict[str, tuple[datetime | None, float]] = {}
        self._problem = ""

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=3)

    def cluster_died(self) -> None:
        """Give the deliveries that the dead cluster had in hand to the next one. Call it after its last breath."""
        with self._noting_death:
            self._cluster_died_at = timezone.now()

    def run(self) -> None:
        pause = TICK_SECONDS
        while not self._stopping.wait(pause):
            went_well = self._tick()
            pause = TICK_SECONDS if went_well else min(pause * 2, LONGEST_PAUSE_SECONDS)
        connection.close()

    def _tick(self) -> bool:
        """Return False if the database was not to be had."""
        self._tick_began = time.monotonic()
        try:
            self._release_deliveries()
            if time.monotonic() - self._beaten_at >= BEAT_SECONDS:
                self._beaten_at = time.monotonic()
                self._beat()
            self._feel_pulse()
            self._compare_with_other_hosts()
            queue_due_work(timezone.now())
        except DatabaseError as error:
            connection.close()
            self._undisturbed_since = time.monotonic()
            self._note_problem(error)
            return False
        except Exception as error:  # a fault in one look must not end all later ones
            self._note_problem(error)
            return True
        if self._problem:
            logger.warning("ticker: works again")
            self._problem = ""
        return True

    def _note_problem(self, error: Exception) -> None:
        """Log it once, not every second."""
        problem = f"{type(error).__name__}: {error}"
        if problem != self._problem:
            self._problem = problem
            trace = None if isinstance(error, DatabaseError) else error
            logger.warning("ticker: %s; trying again", problem, exc_info=trace)

    def _compare_with_other_hosts(self) -> None:
        """At the start this is a refusal; later it is told, and what is under way is not torn down."""
        if time.monotonic() - self._compared_at >= COMPARE_SECONDS:
            self._compared_at = time.monotonic()
            if sentence := disagreement():
                logger.error("ticker: %s", sentence)

    def _beat(self) -> None:
        now = timezone.now()
        beat("ticker", now=now)
        forget_old(now)
        give_back_of_the_dead(now, own=self._own_queue)
        # One at a time, and its result is not kept, or heartbeats would fill the queue and the list of results.
        has_come_through = self._heard.get("worker", (None, -math.inf))[1] > self._heartbeat_sent_at
        if has_come_through or time.monotonic() - self._heartbeat_sent_at > LOST_AFTER_SECONDS:
            self._heartbeat_sent_at = time.monotonic()
            async_task(HEARTBEAT_FUNCTION, task_name="heartbeat", save=False, cluster=self._own_queue)

    def _feel_pulse(self) -> None:
        if time.monotonic() - self._tick_began > _SLOW_SECONDS:
            self._undisturbed_since = time.monotonic()  # we had to wait for the database, and so had the workers
        for name in ("worker", "results"):
            at = last_beat(name, cluster=this_cluster())
            if name not in self._heard or self._heard[name][0] != at:
                # Never heard of is not heard of now: a first look that comes late must not pass for a sign of life.
                self._heard[name] = (at, time.monotonic() if at else -math.inf)
        holders = Lease.objects.filter(expires_at__gt=timezone.now()).exclude(name__startswith="queued:")
        pids = {local_pid(holder) for holder in holders.values_list("holder", flat=True)}
        self.pulse = Pulse(
            read_at=time.monotonic(),
            undisturbed_since=self._undisturbed_since,
            executed_at=self._heard["worker"][1],
            acknowledged_at=self._heard["results"][1],
            lease_holders=frozenset(pid for pid in pids if pid is not None),
        )

    def _release_deliveries(self) -> None:
        """What a cluster takes from the queue is locked for `retry` seconds, far too long to wait after its death.

        Unlocked, not deleted: a scheduled task exists nowhere but in its delivery. It stays in the cluster's own queue,
        where its successor finds it.
        """
        died_at = self._cluster_died_at
        if died_at is None:
            return
        locked_until = died_at + timedelta(seconds=settings.Q_CLUSTER["retry"])
        held = OrmQ.objects.filter(key=self._own_queue, lock__gt=timezone.now(), lock__lte=locked_until)
        self._deaths.update(held.values_list("pk", flat=True))
        deadly = {pk: deaths for pk, deaths in self._deaths.items() if deaths >= DEADLY_AFTER}
        drop(deadly, now=timezone.now())
        self._deaths = Counter({pk: n for pk, n in self._deaths.items() if pk not in deadly})
        held.update(lock=timezone.now())
        self._heartbeat_sent_at = -math.inf
        with self._noting_death:  # the next cluster may have died while the database kept us waiting
            if self._cluster_died_at == died_at:
                self._cluster_died_at = None
