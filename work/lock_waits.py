"""Count how often, and how long, this installation waits for SQLite's one write lock.

BEGIN IMMEDIATE does nothing but wait; a single write outside of a transaction waits and works, so that only a long
one counts. The sums are kept in a small file beside the database, for all processes: waiting for SQLite is a matter
of one machine, and a row would need the very lock that is missing. PostgreSQL tells of its own waits.
"""

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

#: Without a wait BEGIN IMMEDIATE takes a twentieth of a millisecond.
BEGIN_FROM_SECONDS = 0.01
#: A write with its commit to the disk takes some milliseconds.
WRITE_FROM_SECONDS = 0.1
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_SUMS = struct.Struct("=Qd")


def watch(connection: BaseDatabaseWrapper, **_signal: object) -> None:
    """Time what the connection waits for; called for each new one."""
    if connection.vendor == "sqlite" and not any(isinstance(each, _Watch) for each in connection.execute_wrappers):
        connection.execute_wrappers.append(_Watch(connection))


class _Watch:
    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        least = _counts_from(sql, is_in_transaction=self._connection.in_atomic_block)
        if least is None:
            return execute(sql, params, many, context)
        began = time.monotonic()
        try:
            return execute(sql, params, many, context)
        finally:  # a wait that ended in vain was one
            waited = time.monotonic() - began
            if waited >= least:
                note(waited)


def _counts_from(sql: str, *, is_in_transaction: bool) -> float | None:
    if sql.startswith("BEGIN"):
        return BEGIN_FROM_SECONDS
    return WRITE_FROM_SECONDS if not is_in_transaction and sql.startswith(_WRITES) else None


def note(seconds: float) -> None:
    """Add one wait. Never fails: counting must not cost a write."""
    with contextlib.suppress(OSError, struct.error):
        file = os.open(_path(), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            count, total = _read(file)
            os.pwrite(file, _SUMS.pack(count + 1, total + seconds), 0)
        finally:
            os.close(file)


def totals() -> tuple[int, float]:
    """Return how many waits there were since the installation was made, and their seconds."""
    try:
        file = os.open(_path(), os.O_RDONLY)
    except OSError:
        return 0, 0.0
    try:
        return _read(file)
    finally:
        os.close(file)


def _read(file: int) -> tuple[int, float]:
    kept = os.pread(file, _SUMS.size, 0)
    count, total = _SUMS.unpack(kept) if len(kept) == _SUMS.size else (0, 0.0)
    return int(count), float(total)


def _path() -> Path:
    return Path(settings.DATA_DIR) / "lock-waits"
