"""Time, randomness and names that only the story moves: one seed, one course of events.

`install` must run before anything of Django or of the product is imported: modules bind `timezone.now` and
`time.sleep` as they load. The simulator's own thread keeps the host's time for its sockets; what it schedules, and
what its faults wait for, goes by the story's.
"""

import asyncio
import heapq
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REAL_MONOTONIC, _REAL_SLEEP = time.monotonic, time.sleep


class VirtualTime:
    """The one clock of a story. `skew` is how many seconds the product's computer is ahead of Alpaca."""

    def __init__(self) -> None:
        self.nanos = self._began = 0
        self.skew = 0.0
        self.random = Random(0)
        self.market: Callable[[], float | None] = lambda: None  # runs what is due; returns when the next thing is
        self.tick: Callable[[], None] = lambda: None
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._ticket = count()
        self._is_moving = False

    def begin(self, at: datetime) -> None:
        self.nanos = self._began = int((at - _EPOCH).total_seconds()) * SECOND
        self.skew, self._timers = 0.0, []
        self.market, self.tick = (lambda: None), (lambda: None)

    @property
    def seconds(self) -> float:
        """Seconds since the epoch."""
        return self.nanos / SECOND

    @property
    def elapsed(self) -> float:
        """Seconds since the story began: few enough for a float to tell microseconds apart."""
        return (self.nanos - self._began) / SECOND

    def utc(self) -> datetime:
        """The true time, which is Alpaca's."""
        return _EPOCH + timedelta(microseconds=self.nanos // 1000)

    def now(self) -> datetime:
        """What the product's computer believes."""
        return self.utc() + timedelta(seconds=self.skew)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.nanos + int(seconds * SECOND), next(self._ticket), act))

    def advance(self, seconds: float) -> None:
        """Let so much time pass, with everything that falls due meanwhile in its order."""
        target = self.nanos + max(int(seconds * SECOND), 0)
        if self._is_moving:  # something that fell due takes time itself
            self.nanos = target
            return
        self._is_moving = True
        try:
            pause = max(int(seconds * SECOND) // 8, SECOND // 4)
            next_tick = self.nanos + pause
            while True:
                due = self.market()
                moments = [next_tick, *(timer[0] for timer in self._timers[:1])]
                moments += [] if due is None else [self._began + int(due * SECOND) + 1000]
                moment = max(min(moments), self.nanos)
                if moment > target:
                    break
                self.nanos = moment
                while self._timers and self._timers[0][0] <= self.nanos:
                    heapq.heappop(self._timers)[2]()
                if self.nanos >= next_tick:
                    self.tick()
                    next_tick = self.nanos + pause
            self.nanos = max(target, self.nanos)
            self.market()
        finally:
            self._is_moving = False


TIME = VirtualTime()


def install() -> None:
    from django.utils import timezone

    replace(timezone, "now", TIME.now)
    replace(time, "sleep", _in_the_story(TIME.advance, _REAL_SLEEP))
    replace(time, "monotonic", _in_the_story(lambda: TIME.elapsed, _REAL_MONOTONIC))
    replace(uuid, "uuid4", lambda: uuid.UUID(int=TIME.random.getrandbits(128), version=4))
    replace(secrets, "token_hex", _token_hex)


def replace(owner: object, name: str, by: object) -> None:
    """For good: a process that tells stories does nothing else."""
    if not hasattr(owner, name):
        raise AttributeError(f"{owner} has no {name} any more: the story would not hold it")
    setattr(owner, name, by)


def _token_hex(nbytes: int = 32) -> str:
    return f"{TIME.random.getrandbits(8 * nbytes):0{2 * nbytes}x}"


def _in_the_story(told: Callable[..., object], real: Callable[..., object]) -> Callable[..., object]:
    """The story has one thread; the simulator's server and whatever else runs keep to the host."""
    teller = threading.main_thread()

    def choose(*arguments: object) -> object:
        return (told if threading.current_thread() is teller else real)(*arguments)

    return choose


async def sleep_in_the_story(seconds: float) -> None:
    """What a delayed answer of the simulator waits for."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        loop.call_soon_threadsafe(_end, over)
        let_finish(loop)

    TIME.at(seconds, end)
    await over


def _end(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


def let_finish(loop: asyncio.AbstractEventLoop) -> None:
    """Return when the server has nothing left to do."""
    asyncio.run_coroutine_threadsafe(_turns(), loop).result(10)


async def _turns() -> None:
    """So many turns of the server's loop; to wait for each of them from outside costs more than the turns."""
    for _ in range(12):
        await asyncio.sleep(0)
