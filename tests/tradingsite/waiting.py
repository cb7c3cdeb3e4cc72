"""Wait for a condition with a deadline, and look at processes from outside."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from typing import Literal, TypeVar

import psutil

Value = TypeVar("Value")


def wait_for(condition: Callable[[], Value | Literal[False] | None], *, within: float = 15, what: str = "it") -> Value:
    """Return the condition's first true value."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {within} s")
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes_of(data_dir: os.PathLike[str]) -> list[psutil.Process]:
    """Every living process whose environment names this installation."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("DATA_DIR") == str(data_dir):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_all(process: subprocess.Popen, data_dir: os.PathLike[str]) -> None:
    """The clean-up of a test that went wrong."""
    process.kill()
    process.wait()
    while survivors := processes_of(data_dir):  # again: a dying cluster may just have forked one more
        for survivor in survivors:
            with contextlib.suppress(psutil.NoSuchProcess):
                survivor.kill()
        psutil.wait_procs(survivors, timeout=1)
