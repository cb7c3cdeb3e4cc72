"""The rate limit: so many requests per key, API and minute, told in every answer's headers."""

from collections.abc import Callable

WINDOW = 60


class RateLimit:
    """Fixed one-minute windows. A limit of 0 counts nothing and always reports a full allowance."""

    DEFAULT = 200

    def __init__(self, per_minute: int, wall: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._wall = wall
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}

    def take(self, key_id: str, api: str) -> bool:
        """Counts one request; false when the allowance of this minute is used up."""
        if self.per_minute == 0:
            return True
        window = int(self._wall()) // WINDOW
        started, count = self._counts.get((key_id, api), (window, 0))
        count = count + 1 if started == window else 1
        self._counts[key_id, api] = (window, count)
        return count <= self.per_minute

    def headers(self, key_id: str, api: str) -> dict[str, str]:
        window = int(self._wall()) // WINDOW
        started, count = self._counts.get((key_id, api), (window, 0))
        used = count if started == window and self.per_minute else 0
        limit = self.per_minute or self.DEFAULT
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - used, 0)),
            "X-RateLimit-Reset": str((window + 1) * WINDOW),
        }
