"""See that a django-q2 cluster has stopped working, which it does not notice itself.

Measured with 1.11: a killed idle worker takes the task queue's lock with it and everything waits for ever; a killed
monitor is replaced by one that hears nothing; a killed sentinel leaves orphans that go on working. All look healthy
from inside. So any process that vanishes without a good-bye condemns the whole cluster, and so does silence: a
heartbeat task that is not executed and acknowledged in time.

Silence is excused while tasks hold leases, since long tasks are no fault, and while the database does not answer,
since then nobody can leave a sign.
"""

import contextlib
from collections.abc import Callable, Set
from dataclasses import dataclass

import psutil

from tradingsite.cluster_signs import Signs
from tradingsite.survivors import living

#: No task of ours runs this long without a lease.
SILENCE_SECONDS = 12.0
#: Some workers hold leases: the others should still answer, but may be busy with something shorter.
SILENCE_BESIDE_LONG_WORK_SECONDS = 60.0
#: From its start to its first heartbeat; a slow computer gets twice as long at each further try.
START_UP_SECONDS, LONGEST_START_UP_SECONDS = 20.0, 120.0
#: The last heartbeat of the cluster before may be read this late.
_ECHO_SECONDS = 2.0


@dataclass(frozen=True)
class Pulse:
    """What the database says about the cluster. Times are monotonic seconds."""

    read_at: float
    #: The database worked without interruption since then.
    undisturbed_since: float
    #: When the last executed, and the last acknowledged, heartbeat was seen to change.
    executed_at: float
    acknowledged_at: float
    #: Processes that hold a live lease.
    lease_holders: frozenset[int] = frozenset()


class Watchdog:
    """Judges one cluster after the other. Knows no database: it must see a killed process while that is locked."""

    def __init__(self, *, workers: int, task_timeout: float) -> None:
        self._workers = workers
        self._task_timeout = task_timeout
        self._main: int | None = None
        self._started_at = 0.0
        self._start_up = START_UP_SECONDS
        self.has_worked = True
        self._known: set[psutil.Process] = set()

    def watch(self, main: int | None, *, at: float) -> None:
        """Begin with a new cluster, or with none. What the old one still did before its end is noted until then."""
        self._main = main
        self._known = set()
        if main is not None:
            longer = min(self._start_up * 2, LONGEST_START_UP_SECONDS)
            self._start_up = START_UP_SECONDS if self.has_worked else longer
            self.has_worked = False
            self._started_at = at

    def watches(self, main: int | None) -> bool:
        return main is not None and main == self._main

    def complaint(self, pulse: Pulse | None, *, read_signs: Callable[[int], Signs]) -> str | None:
        """Return why the cluster must be replaced, or None while there is no reason."""
        if pulse is not None:
            # All the way: counted from its start, the first acknowledgement would be overdue on a slow computer as
            # soon as the first execution is seen.
            came_through_at = min(pulse.executed_at, pulse.acknowledged_at)
            self.has_worked = self.has_worked or came_through_at > self._started_at + _ECHO_SECONDS
        if self._main is None:
            return None
        return self._vanished(self._main, read_signs) or self._silent(pulse)

    def _vanished(self, main: int, read_signs: Callable[[int], Signs]) -> str | None:
        born = read_signs(main).born  # before the look: who is born after it would seem to be gone
        there = set(cluster_processes(main))
        left = read_signs(main).left  # after the look: who left during it has said so by now
        missing = {process.pid for process in self._known - there} | (born - {process.pid for process in there})
        self._known = {process for process in self._known | there if process.pid not in left}
        gone = missing - left
        return f"process {min(gone)} of the cluster is gone" if gone else None

    def _silent(self, pulse: Pulse | None) -> str | None:
        if pulse is None:
            return None
        # While the database does not answer no new pulse is felt, and the time of the last one stands still.
        now = pulse.read_at
        calm_since = max(pulse.undisturbed_since, self._started_at)
        if not self.has_worked:
            waited = now - calm_since
            return f"no heartbeat in the first {waited:.0f} s" if waited > self._start_up else None
        patience = self._patience(pulse.lease_holders)
        for heard_at, what in ((pulse.executed_at, "executed"), (pulse.acknowledged_at, "acknowledged")):
            silence = now - max(heard_at, calm_since)
            if silence > patience:
                return f"no heartbeat was {what} for {silence:.0f} s"
        return None

    def _patience(self, lease_holders: Set[int]) -> float:
        busy = sum(process.pid in lease_holders for process in self._known)
        if busy >= self._workers:
            return self._task_timeout + SILENCE_SECONDS
        return SILENCE_BESIDE_LONG_WORK_SECONDS if busy else SILENCE_SECONDS


def cluster_processes(main: int) -> list[psutil.Process]:
    """Return main, its sentinel, and the sentinel's workers, monitor and pusher.

    Not deeper: what a task starts for a moment is no part of the cluster.
    """
    try:
        top = psutil.Process(main)
        below = living(top.children(recursive=True))
    except psutil.NoSuchProcess:
        return []
    parents = {}
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            parents[process] = process.ppid()
    sentinels = {process.pid for process, parent in parents.items() if parent == main}
    near = [process for process, parent in parents.items() if parent == main or parent in sentinels]
    return living([top]) + near
