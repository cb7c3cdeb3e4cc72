"""The worker against `kill -9`: whatever part of the cluster dies, work goes on and no orphan keeps running."""

import os
import signal
import time
from collections.abc import Callable, Set
from pathlib import Path
from typing import Literal

import psutil
import pytest

from tests.tradingsite.installation import Installation
from tests.tradingsite.waiting import Value, is_alive

PROBE = "tests.tradingsite.probes."
WORKERS = 3


class Cluster:
    """One installation's worker with its django-q2 cluster, by role."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.parent = installation.start("worker")
        self.marks = 0

    def main(self) -> psutil.Process | None:
        """The program of the cluster, as soon as it runs: the worker forks others for a moment when it starts."""
        try:
            children = psutil.Process(self.parent.pid).children()
            mains = [child for child in children if is_alive(child.pid) and "qcluster" in child.cmdline()]
        except psutil.NoSuchProcess:  # somebody died while we looked
            return None
        return mains[0] if mains else None

    def roles(self) -> dict[str, int] | None:
        """The pid of each role, as soon as the cluster is complete. The sentinel starts them in this order."""
        try:
            main = self.main()
            sentinels = main.children() if main else []
            rest = [child.pid for each in sentinels for child in each.children() if is_alive(child.pid)]
        except psutil.NoSuchProcess:  # somebody died while we looked
            return None
        if main is None or len(sentinels) != 1 or len(rest) != WORKERS + 2:
            return None
        sentinel = sentinels[0].pid
        # The system begins again with small pids after the largest.
        *workers, monitor, pusher = sorted(rest, key=lambda pid: (pid < sentinel, pid))
        roles = {"main": main.pid, "sentinel": sentinel, "monitor": monitor, "pusher": pusher}
        return roles | {f"worker {number}": pid for number, pid in enumerate(workers)}

    def await_complete(self, *, without: Set[int] = frozenset()) -> dict[str, int]:
        """The roles as soon as the cluster is complete and none of these processes plays one."""

        def complete() -> dict[str, int] | None:
            roles = self.roles()
            return roles if roles and without.isdisjoint(roles.values()) else None

        return self.wait_for(complete, what="a complete cluster")

    def wait_for(self, condition: Callable[[], Value | Literal[False] | None], *, what: str) -> Value:
        return self.installation.wait_for(condition, within=60, what=what)

    def await_successor(self, old: dict[str, int]) -> None:
        """Nothing is queued by the test: the heartbeat's way leads through every process of the cluster."""
        dead = set(old.values())
        self.wait_for(lambda: not any(map(is_alive, dead)), what="the end of the old cluster")
        self.wait_for(lambda: int(self.worker_that_beat().split(":")[1]) not in dead, what="work by others")

    def queue(self, function: str, path: Path) -> None:
        code = f"from django_q.tasks import async_task; async_task({PROBE + function!r}, {str(path)!r})"
        assert self.installation.run("shell", "-v", "0", "-c", code).returncode == 0

    def worker_that_beat(self) -> str:
        """The process that executed the last heartbeat, as soon as one did since the call."""
        sql = "SELECT at, holder FROM work_heartbeat WHERE name = ?"
        before = self.installation.query(sql, "results")
        self.wait_for(lambda: self.installation.query(sql, "results") != before, what="a heartbeat")
        return str(self.installation.query(sql, "worker")[0][1])


def pids_in(marks: Path, *, count: int) -> list[str] | None:
    """Who left their marks, as soon as there are that many."""
    pids = marks.read_text().split() if marks.exists() else []
    return pids if len(pids) == count else None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("worker") / "data")
    installation.set_up()
    made = Cluster(installation)
    try:
        made.await_complete()
        made.worker_that_beat()
        yield made
    finally:
        made.parent.send_signal(signal.SIGTERM)
        made.parent.wait(20)
        left = installation.processes()
        installation.clean_up()
        assert not left


@pytest.mark.parametrize("role", ["main", "sentinel", "monitor", "pusher", "worker 1"])
def test_work_goes_on_after_a_process_was_killed(cluster, role):
    old = cluster.await_complete()
    os.kill(old[role], signal.SIGKILL)
    killed_at = time.monotonic()
    cluster.await_successor(old)
    assert time.monotonic() - killed_at < 30


@pytest.mark.parametrize("role", ["monitor", "pusher", "worker 0"])
def test_nobody_is_killed_unseen(tmp_path, role):
    """Before the watchdog's first look: when it comes, django-q2 has put another one in the place of the dead."""
    installation = Installation(tmp_path / "data")
    installation.set_up()
    try:
        cluster = Cluster(installation)
        cluster.wait_for(cluster.main, what="the start of a cluster")
        cluster.parent.send_signal(signal.SIGSTOP)
        unseen = cluster.await_complete()
        os.kill(unseen[role], signal.SIGKILL)
        cluster.await_complete(without={unseen[role]})
        cluster.parent.send_signal(signal.SIGCONT)
        cluster.await_successor(unseen)
    finally:
        installation.clean_up()


def test_the_task_of_a_killed_busy_worker_is_done_by_the_next_cluster(cluster, tmp_path):
    """It would otherwise wait `retry` seconds: 50 minutes."""
    old = cluster.await_complete()
    marks = tmp_path / "marks"
    cluster.queue("work_long_once", marks)
    busy = int(cluster.wait_for(lambda: pids_in(marks, count=1), what="the start of the task")[0])
    assert busy in old.values()
    os.kill(busy, signal.SIGKILL)
    pids = cluster.wait_for(lambda: pids_in(marks, count=2), what="the second try")
    assert int(pids[1]) in cluster.await_complete().values()
    assert not any(is_alive(pid) for pid in old.values())


def test_recycled_workers_are_no_reason_to_replace_the_cluster(tmp_path):
    installation = Installation(
        tmp_path / "data",
        DJANGO_SETTINGS_MODULE="tests.tradingsite.few_tasks_settings",
        PYTHONPATH=str(Path(__file__).parents[2]),
    )
    installation.set_up()
    marks = tmp_path / "marks"
    try:
        code = f"[async_task({PROBE + 'leave_mark'!r}, {str(marks)!r}) for _ in range(16)]"
        installation.run("shell", "-v", "0", "-c", f"from django_q.tasks import async_task; {code}")
        cluster = Cluster(installation)
        first = cluster.await_complete()
        pids = cluster.wait_for(lambda: pids_in(marks, count=16), what="sixteen tasks")
        assert len(set(pids)) >= 5  # none did more than three: two, and one that the recycling let pass
        cluster.worker_that_beat()
        assert cluster.await_complete()["main"] == first["main"], installation.printed()
        assert "replacing" not in installation.printed()
    finally:
        installation.clean_up()


def test_a_worker_refuses_a_database_that_is_not_set_up(tmp_path):
    refused = Installation(tmp_path / "data").run("worker")
    assert refused.returncode == 2
    assert refused.stderr == ("CommandError: The database is not up to date. Run `python manage.py migrate` first.\n")
