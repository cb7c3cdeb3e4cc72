"""Supervision, with real processes: a parent script runs the supervisor, the test looks from outside."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from tests.tradingsite.waiting import is_alive, kill_all, wait_for
from tradingsite.processes import restart_delay
from tradingsite.survivors import end_session, session_members, sweep

ROOT = Path(__file__).parents[2]

# A child that starts a grandchild, says both pids, and waits. SIGTERM ends it, or not.
CHILD = """
import os, signal, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: (grandchild.kill(), sys.exit(0)))
print("pids", os.getpid(), grandchild.pid, flush=True)
while True:
    time.sleep(600)
"""
PARENT = """
import signal, sys
from pathlib import Path
from tradingsite.processes import Program, Supervisor
from tradingsite.survivors import Register
command = [sys.executable, "-c", Path(sys.argv[1]).read_text(), *sys.argv[3:]]
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where these tests themselves were started by nohup
with Supervisor(register=Register(Path(sys.argv[2]) / "run")) as supervisor:
    supervisor.start(Program(name="child", command=command, grace=0.5))
    supervisor.run()
"""


class Family:
    """A parent with one child and one grandchild, and the lines that the parent printed."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        script = folder / "child.py"
        script.write_text(textwrap.dedent(CHILD))
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(script), str(folder), *arguments],
            cwd=ROOT,
            env=os.environ | {"DATA_DIR": str(folder)} | environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.child, self.grandchild = self.next_pids()

    def next_line(self) -> str:
        assert self.parent.stdout
        return self.parent.stdout.readline().rstrip()

    def next_pids(self) -> tuple[int, int]:
        line = self.next_line()
        assert line.startswith("child     | pids "), line
        child, grandchild = map(int, line.split()[-2:])
        return child, grandchild

    def all_gone(self) -> bool:
        return not any(is_alive(pid) for pid in (self.parent.pid, self.child, self.grandchild))


@pytest.fixture
def family(tmp_path):
    families = []

    def start(*arguments: str, **environment: str) -> Family:
        families.append(Family(tmp_path, *arguments, **environment))
        return families[-1]

    yield start
    for each in families:
        kill_all(each.parent, tmp_path)
        assert each.parent.stdout
        each.parent.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_parent_ends_everything(family, tmp_path, number):
    some = family()
    some.parent.send_signal(number)
    assert some.parent.wait(10) == 0
    assert some.all_gone()
    assert not list((tmp_path / "run").glob("*"))


def test_each_child_leads_a_session_of_its_own(family):
    some = family()
    assert os.getsid(some.child) == some.child
    assert {process.pid for process in session_members(some.child)} == {some.child, some.grandchild}


def test_only_the_main_process_gets_the_first_signal(family):
    """A group signal would end the grandchild, which has no handler, before its parent could say anything."""
    some = family("deaf")
    some.parent.send_signal(signal.SIGTERM)
    assert some.next_line() == "child did not end in time and is killed"
    assert some.parent.wait(10) == 0
    assert some.all_gone()


def test_a_killed_child_is_started_again_and_its_orphan_ended(family):
    some = family()
    child, grandchild = some.child, some.grandchild
    os.kill(child, signal.SIGKILL)
    assert some.next_line() == "child was killed (SIGKILL); starting it again in 0.5 s"
    new_child, _ = some.next_pids()
    assert new_child != child
    assert not is_alive(grandchild)


def test_a_child_that_keeps_dying_is_started_ever_more_slowly(family):
    some = family()
    waits = []
    for _ in range(3):
        os.kill(some.child, signal.SIGKILL)
        waits.append(float(some.next_line().split()[-2]))
        some.child, some.grandchild = some.next_pids()
    assert waits == [0.5, 1.0, 2.0]


def test_a_night_of_deaths_does_not_overflow():
    assert restart_delay(3, longest=30) == 2
    assert restart_delay(5000, longest=30) == 30
    assert restart_delay(5000, longest=8) == 8


@pytest.mark.parametrize("way", [{}, {"BOUND_EXEC_WATCH": "1"}], ids=["by the system", "by a watcher"])
def test_children_follow_a_killed_parent(family, way):
    some = family(**way)
    os.kill(some.parent.pid, signal.SIGKILL)
    some.parent.wait()
    wait_for(some.all_gone, what="the end of the family")


def test_the_next_start_ends_what_survived_a_killed_parent(family, tmp_path):
    some = family("deaf")
    os.kill(some.parent.pid, signal.SIGKILL)
    some.parent.wait()
    assert is_alive(some.child)
    assert sweep(tmp_path / "run", data_dir=tmp_path) == 2
    assert some.all_gone()
    assert sweep(tmp_path / "run", data_dir=tmp_path) == 0


def test_the_sweep_spares_the_children_of_a_living_parent(family, tmp_path):
    some = family()
    assert sweep(tmp_path / "run", data_dir=tmp_path) == 0
    assert is_alive(some.child)
    assert is_alive(some.grandchild)


def test_the_sweep_spares_a_process_that_is_not_of_this_installation(tmp_path):
    """The number in an old register may belong to somebody else by now."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True, env={"DATA_DIR": "/elsewhere"}) as stranger:
        (tmp_path / "run").mkdir()
        entry = {"parent": {"pid": 2**22 + 1, "create_time": 0}, "children": {"web": {"pid": stranger.pid}}}
        (tmp_path / "run" / "1.json").write_text(json.dumps(entry))
        assert sweep(tmp_path / "run", data_dir=tmp_path) == 0
        assert stranger.poll() is None
        stranger.kill()


def test_a_torn_register_proves_nothing_and_is_dropped(tmp_path):
    (tmp_path / "1.json").write_text('{"parent": {"pi')
    assert sweep(tmp_path, data_dir=tmp_path) == 0
    assert not list(tmp_path.iterdir())


def test_our_own_session_is_never_ended():
    with pytest.raises(ValueError, match="our own session"):
        end_session(os.getsid(0))


def test_a_session_without_members_is_no_error():
    with subprocess.Popen(["true"], start_new_session=True) as process:
        process.wait()
    assert not psutil.pid_exists(process.pid)
    assert end_session(process.pid) == 0
