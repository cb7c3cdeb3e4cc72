"""Who looks: a thread in the worker's parent process, and one beside the stream. One of all of them at a time.

A dead worker is seen by the stream's, a dead stream by the worker's, a dead host by another's. It stands beside the
ticker and never in it: neither a slow look nor a channel that hangs delays any work. It survives every error.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from alerts.channels import ensure_channels
from alerts.conditions import conditions_of, ending_of
from alerts.courier import Courier
from alerts.looking import look
from alerts.noting import note
from alerts.summing import sum_up
from work import leases

LEASE = "lookout"
LOOK_SECONDS = 5.0
#: Another process takes over when this one has not looked for so long. On the same host at once, when it is gone.
LEASE_SECONDS = 20.0
#: A look carries messages for about so long; what takes longer goes on beside it.
CARRY_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 30.0

logger = logging.getLogger(__name__)


class Lookout(threading.Thread):
    def __init__(self, courier: Courier | None = None) -> None:
        super().__init__(name="lookout", daemon=True)
        self._courier = courier or Courier()
        self._stopping = threading.Event()
        self._problems: dict[str, str] = {}

    def stop(self) -> None:
        """What is being sent may still end; what does not is taken up by the next lookout."""
        self._stopping.set()
        self.join(timeout=2)

    def run(self) -> None:
        pause = LOOK_SECONDS
        while not self._stopping.wait(pause):
            pause = LOOK_SECONDS if self.step() else min(pause * 2, LONGEST_PAUSE_SECONDS)
        self._survive("ending", lambda: leases.give_back(LEASE))
        connection.close()

    def step(self) -> bool:
        """Look and carry, if it is this process's turn; False if the database was not to be had."""
        turns: list[bool] = []
        if not self._survive("taking the lease", lambda: turns.append(_take())):
            return False
        if not turns[0]:
            # What it was sending when it lost its turn: who has it now would send it again.
            return self._survive("noting", lambda: self._courier.note_ended(timezone.now()))
        went_well = self._survive("looking", look_and_note)
        # Whatever is wrong with the look: what is recorded already goes out.
        return self._survive("carrying", lambda: self._courier.carry(timezone.now, seconds=CARRY_SECONDS)) and went_well

    def _survive(self, what: str, act: Callable[[], object]) -> bool:
        try:
            act()
        except Exception as error:  # a fault in one look must not end all later ones
            problem = f"{type(error).__name__}: {error}"
            if isinstance(error, DatabaseError):
                connection.close()
            if self._problems.get(what) != problem:
                self._problems[what] = problem
                trace = None if isinstance(error, DatabaseError) else error
                logger.warning("lookout: %s: %s; trying again", what, problem, exc_info=trace)
            return False
        if self._problems.pop(what, ""):
            logger.warning("lookout: %s works again", what)
        return True


def _take() -> bool:
    now = timezone.now()
    return leases.renew(LEASE, seconds=LEASE_SECONDS, now=now) or leases.take(LEASE, seconds=LEASE_SECONDS, now=now)


def look_and_note() -> None:
    now = timezone.now()
    ensure_channels(now)
    waiting = timedelta(minutes=settings.ALERT_APPROVAL_MINUTES)
    facts = look(now)
    conditions = conditions_of(facts, now=now, approval_after=waiting)
    note(conditions, now=now, ending=lambda key: ending_of(key, facts, now=now))
    sum_up(now)
