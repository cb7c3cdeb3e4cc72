"""The parts of one running simulator, tied together for the HTTP and WebSocket layers."""

import time
from pathlib import Path

from .clock import OPEN, Clock
from .execution import Execution
from .faults import FaultBook
from .limits import RateLimit
from .storage import Store
from .stream import Hub
from .venue import Venue


class Simulator:
    def __init__(
        self, *, state: Path | None = None, latency_ms: float = 0, rate_limit: int = RateLimit.DEFAULT,
        clock: str = OPEN, seed: int = 0, fill_delay_ms: float = 3,
    ) -> None:  # fmt: skip
        self.venue = Venue(clock=Clock(clock), now=time.monotonic, seed=seed)
        self.venue.settings.fill_delay_ms = fill_delay_ms
        self.execution = Execution(self.venue)
        self.faults = FaultBook()
        self.limits = RateLimit(rate_limit, time.time)
        self.hub = Hub(self.faults)
        self.latency_ms = latency_ms
        self.store = Store(state)
        # A state file that holds an installation goes before any scenario.
        self.restored = not self.store.is_empty
        if self.restored:
            self.store.load(self.venue)
            self.resume()

    def resume(self) -> None:
        """Takes up every order's next step after a start or a load."""
        for account in self.venue.accounts.values():
            for order in account.live.values():
                self.execution.resume(account, order)

    def commit(self) -> None:
        """Saves, then tells: nobody hears of what a kill could still undo."""
        self.store.save(self.venue)
        events, self.venue.outbox = self.venue.outbox, []
        for event in events:
            self.hub.publish(event)

    def run_due(self) -> None:
        if self.venue.scheduler.run_due():
            self.commit()

    def tick(self) -> None:
        """Lets prices and time act on every live order."""
        self.execution.evaluate_all()
        self.commit()
