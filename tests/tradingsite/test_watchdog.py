"""When silence condemns a cluster, and when it is excused. Times are seconds on an invented clock."""

import os
import subprocess
import sys

import pytest

from tradingsite.cluster_signs import ENVIRONMENT_NAME, SignPipe, Signs, _say_farewell
from tradingsite.watchdog import START_UP_SECONDS, Pulse, Watchdog
from work.holders import local_pid, this_process

STARTED = 1000.0


@pytest.fixture
def process():
    """Stands for the main process: it lives on, so nothing has vanished."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as some:
        yield some
        some.kill()


@pytest.fixture
def watchdog(process):
    dog = Watchdog(workers=1, task_timeout=600)
    dog.watch(process.pid, at=STARTED)
    return dog


def complaint(dog, now, *, executed=0.0, acknowledged=0.0, undisturbed=0.0, holders=(), read=None, born=(), left=()):
    pulse = Pulse(
        read_at=STARTED + (now if read is None else read),
        undisturbed_since=STARTED + undisturbed,
        executed_at=STARTED + executed,
        acknowledged_at=STARTED + acknowledged,
        lease_holders=frozenset(holders),
    )
    return dog.complaint(pulse, read_signs=lambda main: Signs(frozenset(born), frozenset(left)))


def test_regular_heartbeats_are_no_reason(watchdog):
    assert all(complaint(watchdog, at, executed=at - 1, acknowledged=at - 1) is None for at in range(5, 500, 3))


def test_no_heartbeat_executed(watchdog):
    assert complaint(watchdog, 30, executed=20, acknowledged=20) is None
    assert complaint(watchdog, 33, executed=20, acknowledged=20) == "no heartbeat was executed for 13 s"


def test_executed_but_never_acknowledged_is_a_deaf_monitor(watchdog):
    assert complaint(watchdog, 33, executed=32, acknowledged=20) == "no heartbeat was acknowledged for 13 s"


def test_a_cluster_that_never_begins_to_work(watchdog):
    assert complaint(watchdog, START_UP_SECONDS) is None
    assert complaint(watchdog, START_UP_SECONDS + 1) == "no heartbeat in the first 21 s"


def test_a_slow_computer_gets_longer_to_start(watchdog, process):
    watchdog.watch(process.pid, at=STARTED)
    assert complaint(watchdog, 2 * START_UP_SECONDS) is None
    assert complaint(watchdog, 2 * START_UP_SECONDS + 1) is not None


def test_a_cluster_that_worked_until_just_before_its_death_has_worked(watchdog):
    assert complaint(watchdog, 4) is None
    watchdog.watch(None, at=STARTED + 5)
    assert complaint(watchdog, 6, executed=4.5, acknowledged=4.5) is None
    assert watchdog.has_worked


def test_the_first_acknowledgement_is_not_overdue_at_the_first_execution(watchdog):
    """On a slow computer the first heartbeat comes later than the silence that condemns a cluster which worked."""
    assert complaint(watchdog, 15, executed=14.9) is None
    assert complaint(watchdog, 17, executed=14.9, acknowledged=16.9) is None
    assert complaint(watchdog, 30, executed=29, acknowledged=16.9) == "no heartbeat was acknowledged for 13 s"


def test_a_monitor_that_is_deaf_from_the_start(watchdog):
    assert complaint(watchdog, START_UP_SECONDS + 1, executed=20) == "no heartbeat in the first 21 s"


def test_workers_that_hold_leases_are_busy_not_dead(watchdog, process):
    complaint(watchdog, 5, executed=4, acknowledged=4, holders=[process.pid])
    assert complaint(watchdog, 400, executed=4, acknowledged=4, holders=[process.pid]) is None
    assert complaint(watchdog, 617, executed=4, acknowledged=4, holders=[process.pid]) is not None


def test_one_busy_worker_excuses_the_others_for_a_minute(process):
    dog = Watchdog(workers=3, task_timeout=600)
    dog.watch(process.pid, at=STARTED)
    complaint(dog, 5, executed=4, acknowledged=4, holders=[process.pid])
    assert complaint(dog, 60, executed=4, acknowledged=4, holders=[process.pid]) is None
    assert complaint(dog, 65, executed=4, acknowledged=4, holders=[process.pid]) is not None


def test_the_lease_of_a_stranger_excuses_nobody(watchdog):
    complaint(watchdog, 5, executed=4, acknowledged=4)
    assert complaint(watchdog, 20, executed=4, acknowledged=4, holders=[1]) is not None


def test_while_the_database_was_locked_nobody_could_leave_a_sign(watchdog):
    complaint(watchdog, 5, executed=4, acknowledged=4)
    assert complaint(watchdog, 30, executed=4, acknowledged=4, read=5) is None  # the ticker itself is waiting
    assert complaint(watchdog, 32, executed=4, acknowledged=4, undisturbed=31) is None
    assert complaint(watchdog, 44, executed=4, acknowledged=4, undisturbed=31) is not None


def test_a_process_that_is_gone_without_good_bye(watchdog, process):
    assert complaint(watchdog, 5, executed=4, acknowledged=4) is None
    process.kill()
    process.wait()
    assert complaint(watchdog, 6, executed=5, acknowledged=5) == f"process {process.pid} of the cluster is gone"


def test_a_process_that_said_good_bye(watchdog, process):
    assert complaint(watchdog, 5, executed=4, acknowledged=4) is None
    process.kill()
    process.wait()
    assert complaint(watchdog, 6, executed=5, acknowledged=5, left=[process.pid]) is None


def test_a_process_that_was_born_and_killed_between_two_looks(watchdog, process):
    assert complaint(watchdog, 1, born=[7_000_000]) == "process 7000000 of the cluster is gone"


def test_a_process_that_was_born_and_left_between_two_looks(watchdog, process):
    assert complaint(watchdog, 1, left=[7_000_000]) is None


def test_a_process_that_is_born_or_leaves_during_the_look(watchdog, process):
    """What is said before the look is believed of births, what is said after it of farewells."""
    said = [Signs(born=frozenset({7_000_001})), Signs(born=frozenset({7_000_002}), left=frozenset({7_000_001}))]
    assert watchdog.complaint(None, read_signs=lambda main: said.pop(0)) is None


def test_without_a_cluster_there_is_nothing_to_say():
    dog = Watchdog(workers=1, task_timeout=600)
    assert complaint(dog, 900) is None


@pytest.fixture
def pipe(monkeypatch):
    made = SignPipe()
    monkeypatch.setenv(ENVIRONMENT_NAME, str(made.write_end))
    yield made
    made.close()


def test_a_farewell_goes_through_the_pipe(pipe):
    _say_farewell()
    assert pipe.read(os.getsid(0)) == Signs(left=frozenset({os.getpid()}))


def test_signs_are_those_of_one_cluster(pipe):
    os.write(pipe.write_end, b"7 born 71\n7 born 72\n9 born 91\n7 left 71\n7 born 7")
    assert pipe.read(7) == Signs(born=frozenset({72}), left=frozenset({71}))
    os.write(pipe.write_end, b"3\n")
    assert pipe.read(7) == Signs(born=frozenset({72, 73}), left=frozenset({71}))
    assert pipe.read(9) == Signs()  # it was not the one that runs


def test_a_pid_that_comes_again_is_another_process(pipe):
    os.write(pipe.write_end, b"7 born 71\n7 left 71\n7 born 71\n")
    assert pipe.read(7) == Signs(born=frozenset({71}))


def test_a_farewell_may_be_told_before_the_birth(pipe):
    os.write(pipe.write_end, b"7 left 71\n")
    assert pipe.read(7) == Signs(left=frozenset({71}))
    os.write(pipe.write_end, b"7 born 71\n")
    assert pipe.read(7) == Signs(left=frozenset({71}))


def test_the_pid_in_a_lease():
    assert local_pid(this_process()) == os.getpid()
    assert local_pid("elsewhere:17:1795361648.90") is None
    assert local_pid("queue") is None
    assert local_pid("") is None
