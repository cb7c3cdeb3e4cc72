"""The simulator as a program of this installation: how it is run, and where others find it.

It is known to us by its command line only: nothing here imports it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from tradingsite.locks import FolderLock
from tradingsite.preconditions import ADDRESS
from tradingsite.processes import Program

DEFAULT_PORT = 8090


def simulator_program(*, port: int, port_file: Path, options: Sequence[str] = (), prefix: bool = True) -> Program:
    state = settings.DATA_DIR / "simulator.sqlite3"
    command = [
        sys.executable, "-m", "alpacasim", "--port", str(port), "--port-file", str(port_file), "--state", str(state),
    ]  # fmt: skip
    return Program(
        name="simulator",
        command=[*command, *options],
        environment={"PYTHONPATH": str(settings.BASE_DIR), "DATA_DIR": str(settings.DATA_DIR)},
        prefix=prefix,
        grace=5,
        is_foundation=True,
    )


def simulator_url(port: int) -> str:
    return f"http://{ADDRESS}:{port}"


def simulator_lock() -> FolderLock:
    """Two simulators must not keep their state in one file."""
    return FolderLock(Path(settings.DATA_DIR) / "simulator.lock")


class Whereabouts:
    """`DATA_DIR/simulator.json`: where commands of this installation find its simulator while it runs."""

    def __init__(self) -> None:
        self._path = Path(settings.DATA_DIR) / "simulator.json"

    def announce(self, *, port: int, pid: int) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({"url": simulator_url(port), "pid": pid}))
        draft.replace(self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
