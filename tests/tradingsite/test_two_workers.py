"""Two real workers on one database: each is watched by its own pulse, and no job is done by both."""

import os
import signal
from pathlib import Path

import pytest

from tests.tradingsite.installation import Installation

PROBE = "tests.tradingsite.probes."
#: Each job leaves a line; they take long enough for both clusters to want some of them.
JOBS = 30


class TwoWorkers:
    """`scheduled`: where the job of a schedule leaves its marks that was due long before either of them started."""

    def __init__(self, installation: Installation, scheduled: Path) -> None:
        self.installation, self.scheduled = installation, scheduled
        self.run(
            "from datetime import timedelta; from django.utils import timezone\n"
            "from django_q.models import Schedule\n"
            f"Schedule.objects.create(func={PROBE + 'leave_mark'!r}, args={(str(scheduled),)!r}, schedule_type='I',"
            " minutes=60, next_run=timezone.now() - timedelta(hours=30))\n"
        )
        self.parents = [installation.start("worker") for _ in range(2)]

    def clusters(self, part: str) -> dict[int, str]:
        """The last sign of a part, by the pid of the worker command that keeps the cluster."""
        rows = self.installation.query("SELECT cluster, at FROM work_heartbeat WHERE name = ?", part)
        return {int(cluster.split(":")[1]): str(at) for cluster, at in rows}

    def wait_for(self, condition, what):
        return self.installation.wait_for(condition, within=60, what=what)

    def run(self, code: str) -> None:
        done = self.installation.run("shell", "-v", "0", "-c", code)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("two") / "data", Q_WORKERS="2")
    installation.set_up()
    try:
        yield TwoWorkers(installation, tmp_path_factory.mktemp("marks") / "scheduled")
    finally:
        installation.clean_up()


def test_each_has_its_own_signs_of_life(two):
    pids = {parent.pid for parent in two.parents}
    for part in ("ticker", "worker", "results"):
        two.wait_for(lambda part=part: set(two.clusters(part)) == pids, f"the {part} of both")
    before = two.clusters("results")
    two.wait_for(lambda: all(at != before[pid] for pid, at in two.clusters("results").items()), "both pulses")


def test_no_job_is_done_twice(two, tmp_path: Path):
    """Jobs in the queue, and one that a schedule makes up for: one of the two takes each of them, once."""
    marks, scheduled = tmp_path / "marks", two.scheduled
    job = f"async_task({PROBE + 'leave_mark_slowly'!r}, {str(marks)!r})"
    two.run(f"from django_q.tasks import async_task\nfor number in range({JOBS}): {job}")
    two.wait_for(lambda: marks.exists() and len(marks.read_text().split()) >= JOBS, "all jobs")
    two.wait_for(scheduled.exists, "the scheduled job")
    two.wait_for(lambda: not two.installation.query("SELECT 1 FROM django_q_ormq"), "an empty queue")
    assert len(marks.read_text().split()) == JOBS
    assert len(scheduled.read_text().split()) == 1, "thirty hours were missed, and are made up once"
    workers = {os.getsid(int(pid)) for pid in marks.read_text().split()}
    assert len(workers) == 2, "both did some of it"


def test_one_is_killed_and_the_other_is_stopped(two):
    killed, stopped = two.parents
    killed.send_signal(signal.SIGKILL)
    killed.wait(20)
    before = two.clusters("ticker")
    two.wait_for(lambda: two.clusters("ticker")[stopped.pid] != before[stopped.pid], "the living one's sign")
    assert killed.pid in two.clusters("ticker"), "it is seen that there was another"
    stopped.send_signal(signal.SIGTERM)
    stopped.wait(20)
    assert set(two.clusters("ticker")) == {killed.pid}, "who stops in good order is not missed"
    assert "no heartbeat was" not in two.installation.printed(), "neither watchdog was misled by the other's pulse"
