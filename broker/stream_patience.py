"""How long an answer of the stream may take, by how long answers took: a busy computer is slow, not deaf."""

#: The slowest of the last answers counts so many times; a longer silence is none of them.
_TIMES_SLOWEST = 4.0
_REMEMBERED = 8
LONGEST = 60.0


class Patience:
    """Outlives a connection: after an answer that did not come in time the next is given twice as long, and bounded.

    All in seconds.
    """

    def __init__(self) -> None:
        self._last: list[float] = []
        self._doubled = 1.0

    def took(self, seconds: float) -> None:
        self._last = [*self._last[1 - _REMEMBERED :], seconds]

    def answered(self, seconds: float) -> None:
        self.took(seconds)
        self._doubled = 1.0

    def was_in_vain(self) -> None:
        self._doubled *= 2

    def within(self, least: float) -> float:
        slowest = max(self._last, default=0.0)
        return min(max(least, _TIMES_SLOWEST * slowest) * self._doubled, max(LONGEST, least))
