"""The venue's time: the host's clock, moved or pinned, and whether the market is open."""

import time
from collections.abc import Callable
from typing import Any

from . import sessions
from .times import NEW_YORK, Nanos, format_instant

OPEN, NYSE, CLOSED = "open", "nyse", "closed"
MODES = (OPEN, NYSE, CLOSED)


class Clock:
    """`open`: the market never closes. `nyse`: it keeps New York hours and holidays. `closed`: it never opens."""

    def __init__(self, mode: str = OPEN, host: Callable[[], Nanos] = time.time_ns) -> None:
        self.mode = mode
        self._host = host
        self.offset: Nanos = 0
        self.pinned: Nanos | None = None
        self._last: Nanos = 0

    def now(self) -> Nanos:
        if self.pinned is not None:
            return self.pinned
        # Two readings are never equal, so that equal times in the data are always meant.
        self._last = max(self._last + 1, self._host() + self.offset)
        return self._last

    def pin(self, instant: Nanos) -> None:
        self.pinned = instant

    def move_to(self, instant: Nanos) -> None:
        """Time runs on from the given instant."""
        self.pinned = None
        self._last = 0
        self.offset = instant - self._host()

    def follow_host(self) -> None:
        self.pinned, self.offset, self._last = None, 0, 0

    def is_open(self, at: Nanos) -> bool:
        return self.mode == OPEN or (self.mode == NYSE and sessions.current_session(at) is not None)

    def is_extended(self, at: Nanos) -> bool:
        return self.mode == OPEN or (self.mode == NYSE and sessions.in_extended_hours(at))

    def to_json(self) -> dict[str, Any]:
        now = self.now()
        return {
            "is_open": self.is_open(now),
            "next_close": format_instant(sessions.next_close(now), NEW_YORK),
            "next_open": format_instant(sessions.next_open(now), NEW_YORK),
            "timestamp": format_instant(now, NEW_YORK),
        }
