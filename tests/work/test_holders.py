"""A holder is gone only when that is certain: other hosts, and others that are called alike, count their own pids."""

import os
import socket

import pytest

from work import holders
from work.holders import is_gone, local_pid, system_mark, this_process

PID_OF_NOBODY = 4194305


def test_a_process_that_is_no_more_is_gone_on_its_own_system_only():
    dead = this_process().replace(f":{os.getpid()}:", f":{PID_OF_NOBODY}:")
    assert is_gone(dead)
    assert not is_gone(this_process())
    assert not is_gone(dead.replace(socket.gethostname(), "elsewhere"))


@pytest.mark.skipif(not system_mark(), reason="this system does not say which one it is")
def test_a_host_or_container_of_the_same_name_is_another_system(monkeypatch):
    """Each would take the work of the other's living processes, of which it has none with that number."""
    there = this_process().replace(f":{os.getpid()}:", f":{PID_OF_NOBODY}:")
    monkeypatch.setattr(holders, "system_mark", lambda: "0badcafe")
    assert not is_gone(there)
    assert local_pid(there) is None


def test_who_wrote_no_system_down_is_of_this_one():
    assert is_gone(f"{socket.gethostname()}:{PID_OF_NOBODY}:1.00")
