"""What django-q2's own processes tell the watchdog about themselves.

A worker that is recycled leaves in good order: it flushed its results and holds no lock. One that was killed says
nothing. The watchdog hands down a pipe (its number is in CLUSTER_SIGNS_FD) and every worker, as the very last thing
in its life, writes its pid into it. Nothing of this runs outside the watchdog's cluster.
"""

import contextlib
import logging
import os
from importlib import import_module
from multiprocessing import util

from django.db import Error as DatabaseError
from django.utils import timezone
from django_q.signals import post_execute, post_spawn

from work.heartbeat import beat

ENVIRONMENT_NAME = "CLUSTER_SIGNS_FD"
HEARTBEAT_FUNCTION = "tradingsite.tasks.heartbeat"
_AFTER_THE_QUEUES_ARE_FLUSHED = -100

logger = logging.getLogger(__name__)


def prepare() -> None:
    """At the start of every process of ours; what costs time is done in the cluster's main process only."""
    if ENVIRONMENT_NAME in os.environ:
        # Seconds of imports and 80 MB, paid once: the workers are forked from here and share it. Otherwise each one
        # pays when its first order is due.
        import_module("broker.alpaca_gateway")
    post_spawn.connect(_promise_farewell, dispatch_uid="cluster-signs-farewell")
    post_execute.connect(_note_result, dispatch_uid="cluster-signs-result")


def _promise_farewell(**_kwargs: object) -> None:
    """In a new worker: say good-bye at the end of an orderly exit."""
    number = os.environ.get(ENVIRONMENT_NAME, "")
    if number.isdigit():
        util.Finalize(None, _say_farewell, args=(int(number),), exitpriority=_AFTER_THE_QUEUES_ARE_FLUSHED)


def _say_farewell(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # the watchdog is gone, so nobody asks
        os.write(descriptor, b"%d\n" % os.getpid())


def _note_result(task: dict[str, object], **_kwargs: object) -> None:
    """In the monitor, after it acknowledged a heartbeat: the way of a task is open from end to end."""
    if task.get("func") != HEARTBEAT_FUNCTION:
        return
    try:
        beat("results", now=timezone.now())
    except DatabaseError as error:  # the monitor must live on; the next heartbeat tries again
        logger.warning("the monitor's sign of life was not recorded: %s", error)


class Farewells:
    """The watchdog's end of the pipe."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._rest = b""
        self._pids: set[int] = set()

    def pids(self) -> set[int]:
        """Every worker of this cluster that has left in good order so far."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._read_end, 4096):
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                self._pids.update(int(line) for line in lines)
        return self._pids

    def forget(self) -> None:
        """A new cluster begins: its pids have nothing to do with the old ones."""
        self.pids()
        self._pids.clear()

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self.write_end)
