"""django-q2's two queues, so that a delivery shows which cluster has it, and may be meant for one cluster only.

Every cluster takes from the shared queue and from one of its own. Heartbeats go through its own: taken by another
cluster they would prove that the other one works. In the database, what a cluster takes moves into its own queue:
when it dies, exactly its deliveries are given back, and nobody else's.
"""

import time
from typing import Any

import redis
from django.db import connections
from django.db.models import Q
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from django_q.models import OrmQ
from redis.backoff import NoBackoff
from redis.retry import Retry

from work.clusters import is_own_queue, named_cluster, queue_of
from work.writes import Mark, mark_of

#: A Redis queue that nobody takes from any more disappears.
_FORGOTTEN_SECONDS = 60
#: Longer than the second for which an empty queue lets a cluster wait.
_CONNECT_SECONDS, _ANSWER_SECONDS = 2.0, 4.0

#: A lock that expires writes nothing: so long an empty queue may go unasked while nobody writes.
_UNASKED_SECONDS = 1.0

#: What is queued waits for half of it; an idle cluster spends little more than a hundredth of a core on looking.
_LOOK_SECONDS = 0.02

Deliveries = list[tuple[object, str]]


class OrmQueue(ORM):  # type: ignore[misc]  # django-q2 has no types
    """Looks often, and asks for rows only if something was written since the queue was empty."""

    _empty_at: Mark | None = None
    _asked_at = 0.0

    @staticmethod
    def get_connection(list_key: str = "") -> Any:  # as its base has it
        """A file does not go stale: opened anew at each look it would say nothing of what was written since."""
        connection = connections[Conf.ORM]
        if connection.vendor == "sqlite" and not connection.errors_occurred:
            return OrmQ.objects.using(Conf.ORM)
        return ORM.get_connection(list_key)

    def dequeue(self) -> Deliveries | None:
        mark = mark_of(connections[Conf.ORM])
        if mark is not None and mark == self._empty_at and time.monotonic() - self._asked_at < _UNASKED_SECONDS:
            self._rest(mark)
            return None
        self._asked_at = time.monotonic()
        taken = self._take()
        self._empty_at = None if taken else mark
        if not taken:
            self._rest(mark)
        return taken

    @staticmethod
    def _rest(mark: Mark | None) -> None:
        """Pause for the queue's usual time, or until somebody writes where that can be seen."""
        if mark is None:
            time.sleep(Conf.POLL)
            return
        connection, end = connections[Conf.ORM], time.monotonic() + Conf.POLL
        while time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)
            if mark_of(connection) != mark:
                return

    def _take(self) -> Deliveries:
        cluster = named_cluster()
        own = queue_of(cluster) if cluster else self.list_key
        mine = Q(key=own) | Q(key=self.list_key)
        # Its own come first: "trading@…" is sorted behind "trading".
        waiting = self.get_connection().filter(mine, lock__lt=timezone.now()).order_by("-key", "pk")[: Conf.BULK]
        return [
            (row.pk, row.payload)
            for row in waiting
            if self.get_connection()
            .filter(pk=row.pk, key=row.key, lock=row.lock)
            .update(key=own, lock=self.timeout(row))  # else another cluster was faster
        ]


class RedisQueue(Redis):  # type: ignore[misc]
    @staticmethod
    def get_connection(list_key: str = "") -> redis.Redis:  # as its base has it
        """A server behind a dead network holds up a page or the ticker for seconds, not for ever; the rows wait.

        What Q_BROKER's own address says (`?socket_timeout=9`) comes before.
        """
        return redis.Redis.from_url(
            Conf.REDIS,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 1),
        )

    def enqueue(self, task: str) -> object:
        number = super().enqueue(task)
        if is_own_queue(self.list_key.removeprefix("django_q:")):
            self.connection.expire(self.list_key, _FORGOTTEN_SECONDS)
        return number

    def dequeue(self) -> Deliveries | None:
        cluster = named_cluster()
        own = [f"django_q:{queue_of(cluster)}:q"] if cluster else []
        found = self.connection.blpop([*own, self.list_key], 1)
        return [(None, found[1])] if found else None
