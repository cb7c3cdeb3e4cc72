"""Is the work going on? Signs of life, what waits in the queue, and who holds what."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Min
from django_q.brokers import get_broker
from django_q.models import Failure, OrmQ

from work.heartbeat import last_beat
from work.models import Heartbeat, Lease

#: Who should be heard of, and what it does.
EXPECTED = {
    "ticker": "looks twice a second which work is due",
    "worker": "carries out tasks",
    "results": "acknowledges what was carried out",
}
LATE_AFTER = timedelta(seconds=15)
SILENT_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of one part; `state`: alive, late, silent or never."""

    name: str
    about: str
    at: datetime | None
    holder: str
    state: str


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits and what is in hand. `problem` is a sentence when it could not be read."""

    kind: str
    waiting: int | None
    in_hand: int | None
    oldest_at: datetime | None
    problem: str = ""


def state_at(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "never"
    quiet = now - at
    if quiet > SILENT_AFTER:
        return "silent"
    return "late" if quiet > LATE_AFTER else "alive"


def signs_of_life(now: datetime) -> list[Sign]:
    """Return a sign for every part that should be heard of, in every cluster, and for any other that ever was.

    The newest of a part comes first: a silent cluster beside a living one is seen below it.
    """
    beats = list(Heartbeat.objects.order_by("name", "-at"))
    missing = [Sign(name, about, None, "", "never") for name, about in EXPECTED.items() if not _of(name, beats)]
    found = [
        Sign(beat.name, EXPECTED.get(beat.name, ""), beat.at, beat.holder, state_at(beat.at, now)) for beat in beats
    ]
    places = {name: place for place, name in enumerate(EXPECTED)}
    return sorted([*missing, *found], key=lambda sign: places.get(sign.name, len(places)))


def _of(name: str, beats: list[Heartbeat]) -> list[Heartbeat]:
    return [beat for beat in beats if beat.name == name]


@dataclass(frozen=True, slots=True)
class Absence:
    """No part of a worker has shown itself lately; `since`: the last sign, if there ever was one."""

    since: datetime | None


def absence_of_worker(now: datetime) -> Absence | None:
    """None while a worker lives. Where one runs, its ticker is heard of twice a second, whatever the work."""
    at = last_beat("ticker")
    return None if state_at(at, now) in {"alive", "late"} else Absence(at)


def read_queue(now: datetime) -> Queue:
    if settings.Q_BROKER != "orm":
        return _redis_queue()
    # django-q2 enters a row with the present as its lock, and moves the lock ahead when it is taken.
    waiting = OrmQ.objects.filter(lock__lte=now)
    oldest = waiting.aggregate(oldest=Min("lock"))["oldest"]
    return Queue("database", waiting.count(), OrmQ.objects.filter(lock__gt=now).count(), oldest)


def _redis_queue() -> Queue:
    try:
        return Queue("redis", int(get_broker().queue_size()), None, None)
    except Exception as error:  # whatever the client raises: a page that shows health must not need it
        return Queue("redis", None, None, None, f"The queue could not be read: {error}")


def held_leases(now: datetime) -> list[Lease]:
    return list(Lease.objects.exclude(holder="").filter(expires_at__gt=now).order_by("name"))


def recent_failures(limit: int = 10) -> list[Failure]:
    return list(Failure.objects.order_by("-stopped")[:limit])
