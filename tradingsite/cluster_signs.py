"""What django-q2's own processes tell the watchdog about themselves.

The watchdog looks a few times a second: who is born and killed between two looks would never be missed, since the
sentinel puts another in its place. And a worker that is recycled leaves in good order: it flushed its results and
holds no lock, while one that was killed says nothing. So the watchdog hands down a pipe (its number is in
CLUSTER_SIGNS_FD). The sentinel writes into it whom it has started, and every worker, as the very last thing in its
life, that it leaves. Nothing of this runs outside the watchdog's cluster.
"""

import contextlib
import logging
import os
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import util
from multiprocessing.process import BaseProcess

from django.db import Error as DatabaseError
from django.utils import timezone
from django_q.cluster import Sentinel
from django_q.signals import post_execute, post_spawn

from work.heartbeat import beat

ENVIRONMENT_NAME = "CLUSTER_SIGNS_FD"
HEARTBEAT_FUNCTION = "tradingsite.tasks.heartbeat"
_AFTER_THE_QUEUES_ARE_FLUSHED = -100
_BORN, _LEFT = b"born", b"left"

logger = logging.getLogger(__name__)


def prepare() -> None:
    """At the start of every process of ours; what costs time is done in the cluster's main process only."""
    if ENVIRONMENT_NAME in os.environ:
        # Seconds of imports and 80 MB, paid once: the workers are forked from here and share it. Otherwise each one
        # pays when its first order is due.
        import_module("broker.alpaca_gateway")
        _announce_births()
    post_spawn.connect(_promise_farewell, dispatch_uid="cluster-signs-farewell")
    post_execute.connect(_note_result, dispatch_uid="cluster-signs-result")


def _announce_births() -> None:
    """By the sentinel: it knows the pid also of a child that is killed before its first step. There is no signal."""
    spawn = Sentinel.spawn_process

    def spawn_and_tell(sentinel: Sentinel, *args: object) -> BaseProcess:
        process: BaseProcess = spawn(sentinel, *args)
        _tell(_BORN, process.pid)
        return process

    Sentinel.spawn_process = spawn_and_tell


def _promise_farewell(**_kwargs: object) -> None:
    """In a new worker: say good-bye at the end of an orderly exit."""
    util.Finalize(None, _say_farewell, exitpriority=_AFTER_THE_QUEUES_ARE_FLUSHED)


def _say_farewell() -> None:
    _tell(_LEFT, os.getpid())


def _tell(what: bytes, pid: int | None) -> None:
    number = os.environ.get(ENVIRONMENT_NAME, "")
    if number.isdigit():
        with contextlib.suppress(OSError):  # the watchdog is gone, so nobody asks
            os.write(int(number), b"%d %b %d\n" % (os.getsid(0), what, pid or 0))


def _note_result(task: dict[str, object], **_kwargs: object) -> None:
    """In the monitor, after it acknowledged a heartbeat: the way of a task is open from end to end."""
    if task.get("func") != HEARTBEAT_FUNCTION:
        return
    try:
        beat("results", now=timezone.now())
    except DatabaseError as error:  # the monitor must live on; the next heartbeat tries again
        logger.warning("the monitor's sign of life was not recorded: %s", error)


@dataclass(frozen=True)
class Signs:
    """What the processes of one cluster have said so far."""

    #: Whom the sentinel has started, without those that left.
    born: frozenset[int] = frozenset()
    #: The workers that left in good order.
    left: frozenset[int] = frozenset()


class SignPipe:
    """The watchdog's end of the pipe."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._rest = b""
        #: Of each session and pid: births less farewells. A short life's farewell may come before its birth, since
        #: another process tells it; and the system gives a pid to another process some day.
        self._lives: dict[int, Counter[int]] = {}

    def read(self, main: int) -> Signs:
        """What was said until now in the cluster of this main process, whose session they share."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._read_end, 4096):
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    session, what, pid = line.split()
                    self._lives.setdefault(int(session), Counter())[int(pid)] += 1 if what == _BORN else -1
        lives = self._lives.get(main, Counter())
        self._lives = {main: lives}  # all other clusters are dead
        born = frozenset(pid for pid, count in lives.items() if count > 0)
        return Signs(born=born, left=frozenset(lives) - born)

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self.write_end)
