"""`python bound_exec.py PARENT COMMAND…`: become COMMAND, but do not outlive the process PARENT.

Linux sends SIGTERM when the parent's starting thread ends. Elsewhere a watcher, which belongs to the same session
and so is swept with it, looks every second. Runs without the site packages: it costs some 20 ms.
"""

import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux" and not os.environ.get("BOUND_EXEC_WATCH"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:
        _start_watcher(parent)
    if os.getppid() != parent:  # it ended before we were bound to it
        sys.exit(0)
    os.execv(command[0], command)  # noqa: S606  # the command comes from our own supervisor


def _start_watcher(parent: int) -> None:
    """Fork twice, so that the watcher is nobody's child and is not counted as a part of the command."""
    target = os.getpid()
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    if os.fork():
        os._exit(0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.closerange(3, 256)
    while _is_alive(target):
        if not _is_alive(parent):
            os.kill(target, signal.SIGTERM)
            break
        time.sleep(1)
    os._exit(0)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
