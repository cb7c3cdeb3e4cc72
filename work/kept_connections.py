"""Connections to SQLite that outlive the threads which used them.

A batch is sent by threads of its own. To open a connection and to let SQLite read its schema and prepare the first
statements takes longer than all that an order needs of the database, and it would be done while the first orders wait.
A connection to PostgreSQL is the server's, too: it is closed with its thread, as ever.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

MOST_KEPT = 16
#: Which file it is: one that was put in its place is another.
_File = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Kept:
    connection: BaseDatabaseWrapper
    file: _File


_kept: Queue[_Kept] = Queue(MOST_KEPT)
#: A child must not even close what its parent has open.
_of_the_parent: list[Queue[_Kept]] = []


def _forget_the_parents() -> None:
    global _kept
    _of_the_parent.append(_kept)
    _kept = Queue(MOST_KEPT)


os.register_at_fork(after_in_child=_forget_the_parents)


@contextmanager
def kept_connection() -> Iterator[None]:
    """Let a thread work with a connection that an earlier one left here; at its end it leaves it to the next one.

    Left is only what is as good as new: open, outside of any transaction, and never met with an error.
    """
    _take_over()
    try:
        yield
    finally:
        _leave()
        connections.close_all()


def _take_over() -> None:
    with suppress(Empty):
        while True:
            kept = _kept.get_nowait()
            if kept.file == _file_of(kept.connection):
                connections[DEFAULT_DB_ALIAS] = kept.connection
                return
            kept.connection.close()


def _leave() -> None:
    here = connections[DEFAULT_DB_ALIAS]
    file = _file_of(here)
    if file is None or not _is_as_good_as_new(here):
        return
    if not here.allow_thread_sharing:
        here.inc_thread_sharing()  # one thread at a time
    with suppress(Full):
        _kept.put_nowait(_Kept(here, file))
        del connections[DEFAULT_DB_ALIAS]


def forget_kept_connections() -> None:
    """Close what is kept; the next threads open their own."""
    with suppress(Empty):
        while True:
            _kept.get_nowait().connection.close()


def _is_as_good_as_new(here: BaseDatabaseWrapper) -> bool:
    is_idle = not here.in_atomic_block and here.autocommit and not here.run_on_commit
    return here.connection is not None and is_idle and not here.errors_occurred and not here.needs_rollback


def _file_of(here: BaseDatabaseWrapper) -> _File | None:
    """None: there is no such file, or this is no connection to one."""
    if here.vendor != "sqlite":
        return None
    try:
        found = Path(here.settings_dict["NAME"]).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
