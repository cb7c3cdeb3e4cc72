"""The worker against `kill -9`: whatever part of the cluster dies, work goes on and no orphan keeps running."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.tradingsite.installation import Installation
from tests.tradingsite.waiting import is_alive, wait_for

PROBE = "tests.tradingsite.probes."
WORKERS = 3


class Cluster:
    """One installation's worker with its django-q2 cluster, by role."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.parent = installation.start("worker")
        self.marks = 0

    def main(self) -> psutil.Process | None:
        mains = [child for child in psutil.Process(self.parent.pid).children() if is_alive(child.pid)]
        return mains[0] if mains else None

    def roles(self) -> dict[str, int] | None:
        """The pid of each role, as soon as the cluster is complete. The sentinel starts them in this order."""
        try:
            main = self.main()
            sentinels = main.children() if main else []
            rest = sorted(child.pid for each in sentinels for child in each.children() if is_alive(child.pid))
        except psutil.NoSuchProcess:  # somebody died while we looked
            return None
        if main is None or len(rest) != WORKERS + 2:
            return None
        *workers, monitor, pusher = rest
        roles = {"main": main.pid, "sentinel": sentinels[0].pid, "monitor": monitor, "pusher": pusher}
        return roles | {f"worker {number}": pid for number, pid in enumerate(workers)}

    def queue(self, function: str, path: Path) -> None:
        code = f"from django_q.tasks import async_task; async_task({PROBE + function!r}, {str(path)!r})"
        assert self.installation.run("shell", "-v", "0", "-c", code).returncode == 0

    def worker_that_beat(self) -> str:
        """The process that executed the last heartbeat, as soon as one did since the call."""
        sql = "SELECT at, holder FROM work_heartbeat WHERE name = ?"
        before = self.installation.query(sql, "results")
        wait_for(lambda: self.installation.query(sql, "results") != before, within=30, what="a heartbeat")
        return str(self.installation.query(sql, "worker")[0][1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("worker") / "data")
    assert installation.run("migrate", "-v", "0").returncode == 0
    made = Cluster(installation)
    try:
        wait_for(made.roles, within=30, what="a complete cluster")
        made.worker_that_beat()
        yield made
    finally:
        made.parent.send_signal(signal.SIGTERM)
        made.parent.wait(20)
        left = installation.processes()
        installation.clean_up()
        assert not left


def _await_complete(cluster: Cluster) -> dict[str, int]:
    return wait_for(cluster.roles, within=30, what="a complete cluster")


@pytest.mark.parametrize("role", ["main", "sentinel", "monitor", "pusher", "worker 1"])
def test_work_goes_on_after_a_process_was_killed(cluster, role):
    """Nothing is queued by the test: the heartbeat's way leads through every process of the cluster."""
    old = _await_complete(cluster)
    os.kill(old[role], signal.SIGKILL)
    killed_at = time.monotonic()
    new = wait_for(lambda: (roles := cluster.roles()) and roles["main"] != old["main"] and roles, within=30)
    wait_for(lambda: cluster.worker_that_beat().split(":")[1] in map(str, new.values()), within=30)
    assert time.monotonic() - killed_at < 30
    assert not any(is_alive(pid) for pid in old.values())


def test_the_task_of_a_killed_busy_worker_is_done_by_the_next_cluster(cluster, tmp_path):
    """It would otherwise wait `retry` seconds: 50 minutes."""
    old = _await_complete(cluster)
    marks = tmp_path / "marks"
    cluster.queue("work_long_once", marks)
    busy = int(wait_for(lambda: marks.exists() and marks.read_text().strip(), what="the start of the task"))
    assert busy in old.values()
    os.kill(busy, signal.SIGKILL)
    pids = wait_for(lambda: len(found := marks.read_text().split()) == 2 and found, within=30)
    assert int(pids[1]) in _await_complete(cluster).values()
    assert not any(is_alive(pid) for pid in old.values())


def test_recycled_workers_are_no_reason_to_replace_the_cluster(tmp_path):
    installation = Installation(
        tmp_path / "data",
        DJANGO_SETTINGS_MODULE="tests.tradingsite.few_tasks_settings",
        PYTHONPATH=str(Path(__file__).parents[2]),
    )
    assert installation.run("migrate", "-v", "0").returncode == 0
    marks = tmp_path / "marks"
    try:
        code = f"[async_task({PROBE + 'leave_mark'!r}, {str(marks)!r}) for _ in range(16)]"
        installation.run("shell", "-v", "0", "-c", f"from django_q.tasks import async_task; {code}")
        cluster = Cluster(installation)
        first = _await_complete(cluster)
        pids = wait_for(lambda: marks.exists() and len(found := marks.read_text().split()) == 16 and found, within=30)
        assert len(set(pids)) >= 5  # none did more than three: two, and one that the recycling let pass
        cluster.worker_that_beat()
        assert _await_complete(cluster)["main"] == first["main"]
        assert "replacing" not in installation.printed()
    finally:
        installation.clean_up()


def test_a_worker_refuses_a_database_that_is_not_set_up(tmp_path):
    refused = Installation(tmp_path / "data").run("worker")
    assert refused.returncode == 2
    assert refused.stderr == ("CommandError: The database is not up to date. Run `python manage.py migrate` first.\n")
