"""Things that happen a little later: routing, fills, cancels. Pure: somebody else says what time it is."""

import heapq
import itertools
from collections.abc import Callable

Step = Callable[[], None]


class Scheduler:
    """Steps in the order in which they fall due; steps due together run in the order they were added."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._heap: list[tuple[float, int, Step]] = []
        self._ticket = itertools.count()
        self.on_add: Callable[[], None] = lambda: None

    def after(self, seconds: float, step: Step) -> None:
        heapq.heappush(self._heap, (self.now() + seconds, next(self._ticket), step))
        self.on_add()

    def next_due(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def run_due(self) -> bool:
        """Runs what is due now; steps added meanwhile wait for the next call.

        A step leaves the heap only when its turn comes: one that fails takes no other with it.
        """
        now, limit, ran = self.now(), next(self._ticket), False
        while self._heap and self._heap[0][0] <= now and self._heap[0][1] < limit:
            ran = True
            heapq.heappop(self._heap)[2]()
        return ran

    def clear(self) -> None:
        self._heap.clear()
