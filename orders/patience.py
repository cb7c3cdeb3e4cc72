"""Write in spite of a locked or absent database: what Alpaca answered must not be lost because of ours."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

log = logging.getLogger(__name__)
T = TypeVar("T")

#: How long a write is tried again. The process may die meanwhile: then settling finds the outcome by look-up.
PATIENCE_SECONDS = 300.0
_LONGEST_PAUSE = 5.0
#: SQLite lets one writer in at a time, and the others sleep, longer and longer. Threads of one process wake each other.
_writing = threading.RLock()
_NO_TURN: AbstractContextManager[object] = nullcontext()


def _turn() -> AbstractContextManager[object]:
    return _writing if connection.vendor == "sqlite" else _NO_TURN


def _forget_turns() -> None:
    """A child process has none of its parent's threads."""
    global _writing
    _writing = threading.RLock()


os.register_at_fork(after_in_child=_forget_turns)


def until_written(
    write: Callable[[], T],
    *,
    patience: float = PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Run `write`, which is one transaction that may be run again, until the database takes it.

    Call it outside of any transaction. When patience ends, the database's error is raised.
    """
    end, pause = clock() + patience, 0.1
    while True:
        try:
            with _turn():
                return write()
        except (OperationalError, InterfaceError) as error:
            if clock() + pause > end:
                raise
            log.warning("the database does not take a write, trying again in %.1f s: %s", pause, error)
        connection.close_if_unusable_or_obsolete()
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
