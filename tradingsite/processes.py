"""Run programs as children: prefix what they print, restart what dies, leave nothing behind.

Each child leads a session of its own, so that Ctrl-C in the terminal reaches the parent only, which then sends
SIGTERM to the children's main processes and never to a whole group: django-q2 hangs when its workers get it too.
Who does not end in time is killed with its whole session.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

from tradingsite.survivors import Register, end_session

BOUND_EXEC = Path(__file__).with_name("bound_exec.py")
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
#: Whoever ran this long is well: its next death counts as the first.
_WELL_AFTER_SECONDS = 10.0
#: After a thousand deaths in a row the power would be too large for a float.
_MOST_DOUBLINGS = 16
_STEP_SECONDS = 0.1
#: Some senders signal the process and its group: that is one wish to stop. A later one is impatience.
_SAME_SIGNAL_SECONDS = 1.0


@dataclass(frozen=True)
class Program:
    """What to run. Without `prefix` the child writes straight to our own output."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: bool = True
    grace: float = 20.0
    #: Seconds before it is started again when it keeps dying.
    longest_delay: float = LONGEST_DELAY
    pass_fds: tuple[int, ...] = ()
    #: Others need it: it is told to stop when they have ended.
    is_foundation: bool = False


class Child:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.deaths = 0
        self.start_again_at: float | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


def say(text: str) -> None:
    """One line to our output; a reader that went away is no reason to stop trading."""
    encoding = sys.stdout.encoding or "ascii"
    with contextlib.suppress(OSError, ValueError):
        print(text.encode(encoding, "replace").decode(encoding), flush=True)  # noqa: T201


class Supervisor:
    """The parent. Start children and call `step` from the main thread only: the system ties them to that thread."""

    def __init__(self, *, register: Register, announce: Callable[[str], None] = say) -> None:
        self._register = register
        self._announce = announce
        self._children: dict[str, Child] = {}
        self._must_stop_since: float | None = None
        self._must_hurry = False
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup: it is meant to outlive its terminal
            self._handlers[number] = signal.signal(number, self._note_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() itself returned

    def _note_signal(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._must_stop_since is None:
            self._must_stop_since = now
        elif now - self._must_stop_since > _SAME_SIGNAL_SECONDS:
            self._must_hurry = True

    @property
    def must_stop(self) -> bool:
        return self._must_stop_since is not None

    def start(self, program: Program) -> Child:
        child = self._children.setdefault(program.name, Child(program))
        self._launch(child)
        return child

    def run(self, *, each_step: Callable[[], None] | None = None) -> None:
        """Watch over the children until a signal tells us to stop."""
        while not self.must_stop:
            self.step()
            if each_step:
                each_step()
            time.sleep(_STEP_SECONDS)

    def step(self) -> None:
        """Notice deaths, and start again whose time has come."""
        now = time.monotonic()
        for child in self._children.values():
            if child.process is not None and not child.is_running:
                self._bury(child, now)
            elif child.start_again_at is not None and now >= child.start_again_at:
                self._launch(child)

    def replace(self, name: str, reason: str) -> None:
        """Kill the child with its whole session at once, and start it anew: it is there but does not work."""
        child = self._children[name]
        self._announce(f"{name}: {reason}; replacing all its processes")
        if child.process is not None:
            end_session(child.process.pid)
            child.process.wait()
            child.process = None
            self._start_later(child, time.monotonic())

    def note_well(self, name: str) -> None:
        """It has shown that it works: its next death is an accident, not one of a series."""
        self._children[name].deaths = 0

    def stop(self) -> None:
        """SIGTERM to each main process, SIGKILL to the session of whoever lingers. A second signal shortens it."""
        for is_foundation in (False, True):
            wave = [child for child in self._children.values() if child.program.is_foundation is is_foundation]
            for child in wave:
                if child.process is not None and child.is_running:
                    child.process.terminate()
            for child in wave:
                self._await_end(child)
        self._children.clear()
        self._register.close()

    def _await_end(self, child: Child) -> None:
        if child.process is None:
            return
        deadline = time.monotonic() + child.program.grace
        while child.is_running and time.monotonic() < deadline and not self._must_hurry:
            time.sleep(0.05)
        if child.is_running:
            self._announce(f"{child.program.name} did not end in time and is killed")
        end_session(child.process.pid)
        child.process.wait()

    def _launch(self, child: Child) -> None:
        program = child.program
        child.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(BOUND_EXEC), str(os.getpid()), *program.command],
            env=os.environ | program.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program.prefix else None,
            stderr=subprocess.STDOUT if program.prefix else None,
            start_new_session=True,
            pass_fds=program.pass_fds,
        )
        child.started_at, child.start_again_at = time.monotonic(), None
        self._register.note(program.name, child.process.pid)
        if child.process.stdout:
            pump = threading.Thread(target=_pump, args=(program.name, child.process.stdout), daemon=True)
            pump.start()

    def _bury(self, child: Child, now: float) -> None:
        if child.process is None:
            return
        end_session(child.process.pid)
        how = _describe_end(child.process.returncode)
        child.process = None
        self._start_later(child, now)
        wait = (child.start_again_at or now) - now
        self._announce(f"{child.program.name} {how}; starting it again in {wait:.1f} s")

    def _start_later(self, child: Child, now: float) -> None:
        child.deaths = 1 if now - child.started_at > _WELL_AFTER_SECONDS else child.deaths + 1
        child.start_again_at = now + restart_delay(child.deaths, child.program.longest_delay)


def restart_delay(deaths: int, longest: float) -> float:
    """Return the seconds to wait after that many deaths in a row: each time twice as long."""
    return min(longest, FIRST_DELAY * 2.0 ** min(deaths - 1, _MOST_DOUBLINGS))


def _describe_end(returncode: int) -> str:
    if returncode < 0:
        return f"was killed ({signal.Signals(-returncode).name})"
    return f"ended by itself (exit status {returncode})"


def _pump(name: str, stream: IO[bytes]) -> None:
    with stream:
        for line in stream:
            say(f"{name:<9} | {line.decode(errors='replace').rstrip()}")
