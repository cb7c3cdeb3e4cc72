"""Write in spite of a locked or absent database: what Alpaca answered must not be lost because of ours."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

log = logging.getLogger(__name__)
T = TypeVar("T")

#: How long a write is tried again. The process may die meanwhile: then settling finds the outcome by look-up.
PATIENCE_SECONDS = 300.0
_LONGEST_PAUSE = 5.0


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
            return write()
        except (OperationalError, InterfaceError) as error:
            if clock() + pause > end:
                raise
            log.warning("the database does not take a write, trying again in %.1f s: %s", pause, error)
        connection.close_if_unusable_or_obsolete()
        sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
