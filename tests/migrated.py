"""One SQLite file that every migration has run on: made once in a test run, whose databases begin as its copies."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3.creation import DatabaseCreation

from tests.simulation import ROOT

_FOLDER = "TESTS_MIGRATED_FOLDER"


def begin() -> None:
    """Called by the first process of a test run: the processes that it starts find the folder."""
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="migrated-")


def end() -> None:
    shutil.rmtree(os.environ.pop(_FOLDER), ignore_errors=True)


def copy_migrated(to: Path) -> None:
    """Put a database there that is up to date; `to` is empty or not there yet."""
    with closing(sqlite3.connect(_made())) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _made() -> Path:
    """Let one process migrate while the others wait for it."""
    folder = Path(os.environ[_FOLDER])
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            clean = {n: v for n, v in os.environ.items() if not n.startswith(("ALPACA", "DJANGO", "DATABASE"))}
            command = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v", "0"]
            subprocess.run(command, env=clean | {"DATA_DIR": str(folder)}, check=True, timeout=300)
            done.touch()
    return folder / "db.sqlite3"


_create_test_db = DatabaseCreation._create_test_db  # type: ignore[attr-defined]


def _create_migrated_test_db(self: DatabaseCreation, *given: Any, **named: Any) -> str:
    name: str = _create_test_db(self, *given, **named)
    copy_migrated(Path(name))
    return name


def let_test_databases_be_migrated() -> None:
    """Django migrates a test database: it finds nothing left to do."""
    DatabaseCreation._create_test_db = _create_migrated_test_db  # type: ignore[attr-defined]
