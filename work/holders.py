"""Name a process so that others can tell when it is gone."""

import os
import socket
from functools import lru_cache

import psutil

#: A pid is not used again within this.
TOLERANCE_SECONDS = 2.0


def started(process: psutil.Process) -> float:
    """Return seconds; on Linux since the system's start, since the time of day moves when the clock is corrected."""
    began = float(process.create_time())
    return began - psutil.boot_time() if psutil.LINUX else began


@lru_cache(maxsize=1)
def _identity(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{started(psutil.Process(pid)):.2f}"


def this_process() -> str:
    """Return host, pid and start time: a pid alone is used again by the system. Right after a fork, too."""
    return _identity(os.getpid())


def is_gone(holder: str) -> bool:
    """True only when it is certain: the holder ran on this host and its process is no more."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    began = holder.rpartition(":")[2]
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        process = psutil.Process(int(rest))
        other = abs(started(process) - float(began)) > TOLERANCE_SECONDS
        return other or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
