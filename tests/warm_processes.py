"""Processes of their own that need not import for seconds before they begin.

A server, one for each process of the test run, has the large packages of others loaded and nothing of ours: no
settings, no database. Each process is a fork of it, with an environment of its own, and runs a module as `python -m`
does. It has its own number, can be killed at any point, and is buried by the server.

    python -m tests.warm_processes SOCKET
"""

import atexit
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

_LARGE = (
    "alpaca.trading.client", "psutil", "environ", "croniter", "websockets.sync.client", "django.core.management",
    "django.db.models", "django.db.backends.sqlite3.base", "django.forms", "django.http", "django.urls",
    "django.template.defaultfilters",
)  # fmt: skip
_MOST_BYTES = 1 << 20


class WarmProcess:
    """As much of `subprocess.Popen` as is needed; what the process writes comes by `communicate`."""

    def __init__(self, connection: socket.socket, output: int) -> None:
        self._connection, self._output = connection, output
        self.returncode: int | None = None
        self.pid = int(connection.recv(32))

    def poll(self) -> int | None:
        return self._await_end(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._await_end(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Read until all that could write is gone, as a pipe of its own would be read."""
        deadline = None if timeout is None else time.monotonic() + timeout
        written = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while True:
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or not selector.select(left):
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
                part = os.read(self._output, 65536)
                if not part:
                    break
                written += part
        self.wait(None if deadline is None else max(deadline - time.monotonic(), 0))
        os.close(self._output)
        return written.decode(errors="replace"), None

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _await_end(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._connection.settimeout(timeout if timeout != 0 else 1e-6)
            try:
                said = self._connection.recv(32)
            except TimeoutError:
                return None
            if not said:
                raise RuntimeError(f"The server of process {self.pid} is gone.")
            self._connection.close()
            self.returncode = int(said)
        return self.returncode


def start_warm(module: str, *arguments: str, folder: Path, environment: Mapping[str, str]) -> WarmProcess:
    """Run `python -m module` in the folder with exactly this environment."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(_server())
    reading, writing = os.pipe()
    wish = {"module": module, "arguments": arguments, "folder": str(folder), "environment": dict(environment)}
    socket.send_fds(connection, [json.dumps(wish).encode()], [writing])
    os.close(writing)
    return WarmProcess(connection, reading)


@cache
def _server() -> str:
    """Start the server of this process of the test run, once; it ends with it."""
    path = str(Path(tempfile.mkdtemp(prefix="warm-")) / "server")
    command = [sys.executable, "-m", __name__, path]
    # A library of numpy's would start threads when it is loaded, and they do not survive a fork.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen(
        command, cwd=Path(__file__).parent.parent, env=environment, stdin=subprocess.PIPE, start_new_session=True
    )
    atexit.register(_end, server, path)
    deadline = time.monotonic() + 60
    while not Path(path).exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("The server of warm processes did not come up.")
        time.sleep(0.02)
    return path


def _end(server: "subprocess.Popen[bytes]", path: str) -> None:
    server.kill()
    server.wait()
    Path(path).unlink(missing_ok=True)
    Path(path).parent.rmdir()


# --- The server -----------------------------------------------------------------------------------------------


def serve(path: str) -> None:
    """Fork on demand, and tell each asker the number and the end of its process. Ends when its parent does."""
    for name in _LARGE:
        importlib.import_module(name)
    woken, waker = os.pipe2(os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{path}.new")
    listener.listen()
    Path(f"{path}.new").rename(path)
    askers: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for source in (listener.fileno(), woken, sys.stdin.fileno()):
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if sys.stdin.fileno() in ready:
                return
            if woken in ready:
                os.read(woken, 4096)
                _bury(askers)
            if listener.fileno() in ready:
                asker, _ = listener.accept()
                pid = _fork(asker, [listener.fileno(), woken, waker])
                askers[pid] = asker
                asker.send(b"%d" % pid)


def _bury(askers: dict[int, socket.socket]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        with askers.pop(pid) as asker:
            try:
                asker.send(b"%d" % os.waitstatus_to_exitcode(status))
            except OSError:
                continue  # nobody asks any more


def _fork(asker: socket.socket, not_yours: Sequence[int]) -> int:
    message, fds, _flags, _address = socket.recv_fds(asker, _MOST_BYTES, 1)
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in not_yours:
            os.close(each)
        asker.close()
        _become(json.loads(message), fds[0])
    os.close(fds[0])
    return pid


def _become(wish: dict[str, Any], output: int) -> NoReturn:
    status = 1
    try:
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        os.environ.clear()
        os.environ.update(wish["environment"])
        os.chdir(wish["folder"])
        sys.path[0] = wish["folder"]
        sys.argv = [wish["module"], *wish["arguments"]]
        runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
