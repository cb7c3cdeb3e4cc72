"""Find and end what outlived its parent, and nothing else.

Every child that we start leads a session of its own and is written down in `DATA_DIR/run/<parent>.json`. As long as
a session has members the system gives its number to nobody else. After a `kill -9` of the parent the next start
ends the members of those sessions whose environment names this very installation.

Several hosts may share DATA_DIR, and their numbers mean nothing to each other: an entry is acted on only by the system
that wrote it.
"""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from work.holders import TOLERANCE_SECONDS, started, system_mark

_LEAVE_BY_ITSELF_SECONDS = 2.0

Processes = list[psutil.Process]


def session_members(leader: int) -> Processes:
    """Return the living processes of the session that `leader` opened, also when the leader itself is dead."""
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader:
                members.append(psutil.Process(pid))
    return living(members)


def living(processes: Iterable[psutil.Process]) -> Processes:
    """Return those that still run. A zombie is dead: only its parent has not looked yet."""
    alive = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


def end_session(leader: int, *, within: float = 5.0) -> int:
    """SIGKILL everything in the session; return how many were still there."""
    if leader == os.getsid(0):
        raise ValueError("That is our own session.")
    return end(session_members(leader), within=within, again=lambda: session_members(leader))


def end(processes: Processes, *, within: float, again: Callable[[], Processes] | None = None) -> int:
    """SIGKILL them. `again` finds those that a dying member forked meanwhile."""
    deadline = time.monotonic() + within
    count = len(processes)
    while processes and time.monotonic() < deadline:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=0.1)
        processes = again() if again else living(processes)
    return count


class Register:
    """The file that names one parent's children, for whoever has to clean up after the parent was killed."""

    def __init__(self, folder: Path) -> None:
        name = f"{system_mark()}-{os.getpid()}" if system_mark() else str(os.getpid())
        self._path = folder / f"{name}.json"
        self._children: dict[str, dict[str, Any]] = {}

    def note(self, name: str, pid: int) -> None:
        self._children[name] = _identity(pid)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        system = {"host": socket.gethostname(), "system": system_mark()}
        draft.write_text(json.dumps({**system, "parent": _identity(os.getpid()), "children": self._children}))
        draft.replace(self._path)

    def close(self) -> None:
        self._path.unlink(missing_ok=True)


def sweep(folder: Path, *, data_dir: Path) -> int:
    """End what is left of every parent that is gone; return how many processes had to be killed."""
    killed = 0
    for path in sorted(folder.glob("*.json")):
        try:
            entry = json.loads(path.read_text())
            if _is_of_another_host(entry) or (_is_of_this_system(entry) and _is_running(entry["parent"])):
                continue
            children = entry["children"].values() if _is_of_this_system(entry) else ()
            leaders = [int(child["pid"]) for child in children]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            leaders = []  # torn by a power cut: nothing in it can be proven
        killed += sum(_end_survivors(leader, data_dir=data_dir) for leader in leaders)
        path.unlink(missing_ok=True)
    return killed


def _is_of_another_host(entry: dict[str, Any]) -> bool:
    return bool(entry.get("host", socket.gethostname()) != socket.gethostname())


def _is_of_this_system(entry: dict[str, Any]) -> bool:
    """False for one from before this host was started anew: nothing of it can be running."""
    return bool(entry.get("system", system_mark()) == system_mark())


def _end_survivors(leader: int, *, data_dir: Path) -> int:
    def ours() -> Processes:
        return [process for process in session_members(leader) if _belongs_to(process, data_dir)]

    deadline = time.monotonic() + _LEAVE_BY_ITSELF_SECONDS
    while (left := ours()) and time.monotonic() < deadline:  # they were told to stop when their parent died
        time.sleep(0.05)
    return end(left, within=5.0, again=ours)


def _belongs_to(process: psutil.Process, data_dir: Path) -> bool:
    try:
        return bool(process.environ().get("DATA_DIR") == str(data_dir))
    except psutil.Error:
        return False


def _identity(pid: int) -> dict[str, Any]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return {"pid": pid, "started": started(psutil.Process(pid))}
    return {"pid": pid, "started": 0.0}


def _is_running(identity: dict[str, Any]) -> bool:
    try:
        process = psutil.Process(int(identity["pid"]))
        same = abs(started(process) - float(identity["started"])) < TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
