"""Name a process so that others can tell when it is gone, on this host and on others that share the database."""

import hashlib
import os
import socket
from functools import lru_cache
from pathlib import Path

import psutil

#: A pid is not used again within this.
TOLERANCE_SECONDS = 2.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


def started(process: psutil.Process) -> float:
    """Return seconds; on Linux since the system's start, since the time of day moves when the clock is corrected."""
    began = float(process.create_time())
    return began - psutil.boot_time() if psutil.LINUX else began


@lru_cache(maxsize=1)
def system_mark() -> str:
    """Return what tells this running system from others of the same name; empty where it cannot be told.

    Copies of a virtual machine and containers are often called alike, and count their processes from 1.
    """
    try:
        running = f"{_BOOT_ID.read_text().strip()} {_PID_NAMESPACE.stat().st_ino}"
    except OSError:
        return ""
    return hashlib.sha256(running.encode()).hexdigest()[:8]


@lru_cache(maxsize=1)
def _identity(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{started(psutil.Process(pid)):.2f}@{system_mark()}"


def this_process() -> str:
    """Return `host:pid:start@system`: a pid alone is used again by the system. Right after a fork, too."""
    return _identity(os.getpid())


def local_pid(holder: str) -> int | None:
    """Return the holder's pid if it runs, or ran, on this very system."""
    host, _, pid = holder.rpartition(":")[0].rpartition(":")
    mark = holder.rpartition(":")[2].partition("@")[2]
    is_here = host == socket.gethostname() and mark in {"", system_mark()}
    return int(pid) if is_here and pid.isdigit() else None


def is_gone(holder: str) -> bool:
    """True only when it is certain: the holder ran on this system and its process is no more."""
    pid = local_pid(holder)
    if pid is None:
        return False
    began = float(holder.rpartition(":")[2].partition("@")[0])
    try:
        process = psutil.Process(pid)
        other = abs(started(process) - began) > TOLERANCE_SECONDS
        return other or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
