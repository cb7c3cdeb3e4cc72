"""One row after the other, each a process of its own: what one leaves in memory and caches disturbs no other."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from benchmarks.databases import MIGRATED, SERVER
from benchmarks.rows import Figure, Scale, say

ROOT = Path(__file__).resolve().parent.parent
#: In the order of the table.
ROWS = (
    "cold_run",
    "steady_run",
    "comparison_alone",
    "sending",
    "write_contention",
    "pages",
    "fold",
    "stream",
    "start",
    "first_page",
)
#: A row that takes longer than this hangs.
MOST_SECONDS = {"full": 3600.0, "quick": 180.0}
_END_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """What became of one row: its figures, or why there are none."""

    row: str
    figures: tuple[Figure, ...]
    seconds: float
    failure: str = ""


def run_rows(
    rows: tuple[str, ...], scale: Scale, *, server: str = "", migrated: str = "", package: str = "benchmarks"
) -> Iterator[Outcome]:
    """Measure each; one that fails keeps no other back. `migrated` is a file that SQLite's databases begin with."""
    for number, row in enumerate(rows, start=1):
        say(f"[{number}/{len(rows)}] {row.replace('_', ' ')} …")
        outcome = run_row(row, scale, server=server, migrated=migrated, package=package)
        end = outcome.failure or ("done" if all(f.is_met for f in outcome.figures) else "done, a goal is missed")
        say(f"[{number}/{len(rows)}] {row.replace('_', ' ')}: {end} ({outcome.seconds:.0f} s)")
        yield outcome


def run_row(row: str, scale: Scale, *, server: str = "", migrated: str = "", package: str = "benchmarks") -> Outcome:
    # Whatever the row makes lies in a folder that goes, even if the row is killed.
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        answer = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"{package}.{row}", "--json", str(answer)]
        command += ["--quick"] if scale.is_quick else []
        start = time.monotonic()
        status, last = _run(command, _environment(Path(folder), server, migrated), MOST_SECONDS[scale.name])
        seconds = time.monotonic() - start
        if status not in (0, 1) or not answer.exists():
            return Outcome(row, (), seconds, f"failed with status {status}: {last}")
        figures = tuple(Figure.from_json(data) for data in json.loads(answer.read_text()))
    return Outcome(row, figures, seconds)


def _environment(folder: Path, server: str, migrated: str = "") -> dict[str, str]:
    """Nothing of this computer's own installation: rows must never reach its database or Alpaca."""
    foreign = ("ALPACA", "DJANGO", "DATABASE", "DATA_DIR", "Q_", "SECRET_KEY", "ALERT_", "BENCHMARK_", "MAKE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    clean |= {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    return clean | ({SERVER: server} if server else {}) | ({MIGRATED: migrated} if migrated else {})


def _run(command: list[str], environment: dict[str, str], most_seconds: float) -> tuple[int, str]:
    """Return its exit status and the last line that it wrote; all lines are passed on as they come."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches it through us alone, once
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        lines = [""]
        reader = Thread(target=_pass_on, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            return process.wait(most_seconds), _last(reader, lines)
        except subprocess.TimeoutExpired:
            return _end(process), f"it was ended after {most_seconds:.0f} s"
        finally:
            _end(process)
            reader.join()


def _last(reader: Thread, lines: list[str]) -> str:
    reader.join(_END_SECONDS)
    return lines[-1]


def _pass_on(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        if line.strip():
            lines[:] = [line.rstrip()]
            say(f"    {line.rstrip()}")


def _end(process: "subprocess.Popen[str]") -> int:
    """Ask it to end, and with it what it started; what does not listen, or was left behind, is killed."""
    try:
        if process.poll() is None:
            process.terminate()
        return process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        return -int(signal.SIGKILL)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
