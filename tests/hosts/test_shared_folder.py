"""Two hosts may keep DATA_DIR on one shared disk: what one wrote about its processes says nothing on the other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tradingsite.waiting import is_alive
from tradingsite.survivors import Register, sweep
from work.holders import system_mark

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def noted(tmp_path):
    """An entry whose parent is dead, and a living process that has the number of its child."""
    process = subprocess.Popen(SLEEP, env={"DATA_DIR": str(tmp_path)}, start_new_session=True)
    register = Register(tmp_path / "run")
    register.note("queue", process.pid)
    [path] = (tmp_path / "run").iterdir()
    entry = json.loads(path.read_text())
    entry["parent"] = {"pid": 4194305, "started": 1.0}
    yield process, path, entry
    process.kill()
    process.wait()


def _sweep(path: Path, entry: dict[str, object]) -> int:
    path.write_text(json.dumps(entry))
    return sweep(path.parent, data_dir=path.parent.parent)


def test_what_outlived_its_parent_is_ended(noted):
    process, path, entry = noted
    assert _sweep(path, entry) == 1
    assert not is_alive(process.pid)
    assert not path.exists()


def test_the_entry_of_another_host_is_left_alone(noted):
    process, path, entry = noted
    assert _sweep(path, {**entry, "host": "elsewhere", "system": "0badcafe"}) == 0
    assert is_alive(process.pid)
    assert path.exists()


@pytest.mark.skipif(not system_mark(), reason="this system does not say which one it is")
def test_an_entry_from_before_the_host_was_started_anew_ends_nobody(noted):
    process, path, entry = noted
    assert _sweep(path, {**entry, "system": "0badcafe"}) == 0
    assert is_alive(process.pid)
    assert not path.exists()


def test_two_systems_write_two_files(tmp_path, monkeypatch):
    Register(tmp_path).note("queue", os.getpid())
    monkeypatch.setattr("tradingsite.survivors.system_mark", lambda: "0badcafe")
    Register(tmp_path).note("queue", os.getpid())
    assert len(list(tmp_path.iterdir())) == 2
