"""Carry one released batch through to its end in this process: what the workers do by sweeps, in one loop.

Workers may be at it at the same time; every step bears that.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from orders.lifecycle import IN_FLIGHT, SubmissionState
from orders.models import Batch, Order
from orders.sending import execute_batch
from orders.settling import settle_orders

#: How long an outcome that does not come is waited for, counted from the last order that moved.
PATIENCE_SECONDS = 45.0
#: Longer for orders that wait by appointment, as after a 429: Alpaca's window is a minute.
APPOINTMENT_PATIENCE_SECONDS = 150.0
_PAUSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Progress:
    total: int
    states: Counter[str]

    @property
    def settled(self) -> int:
        return self.total - sum(self.states[state] for state in IN_FLIGHT)

    def __str__(self) -> str:
        parts = [f"{self.states[state]}/{self.total} {state.label}" for state in SubmissionState if self.states[state]]
        return ", ".join(parts)


def progress_of(batch_id: int) -> Progress:
    states = Order.objects.filter(batch_id=batch_id).values_list("submission_state", flat=True)
    return Progress(len(states), Counter(states))


def carry_through(
    *,
    batch: Batch,
    clock: Callable[[], datetime],
    tell: Callable[[Progress], None],
    patience: float = PATIENCE_SECONDS,
) -> Progress:
    """Send, settle and finish the batch; return early when nothing moves any more, or sending is halted."""
    told, moved_at = "", time.monotonic()

    def look() -> None:
        nonlocal told, moved_at
        progress = progress_of(batch.pk)
        if str(progress) != told:
            told, moved_at = str(progress), time.monotonic()
            tell(progress)

    while True:
        execute_batch(batch_id=batch.pk, now=clock(), clock=clock, on_progress=look)
        settle_orders(account_id=batch.account_id, now=clock())
        look()
        batch.refresh_from_db()
        limit = max(patience, APPOINTMENT_PATIENCE_SECONDS) if _has_appointment(batch, clock()) else patience
        if batch.finished_at is not None or time.monotonic() > moved_at + limit or _waits_for_a_person(batch):
            return progress_of(batch.pk)
        time.sleep(_PAUSE_SECONDS)


def _has_appointment(batch: Batch, now: datetime) -> bool:
    return batch.orders.filter(submission_state=SubmissionState.RECORDED, not_before__gt=now).exists()


def _waits_for_a_person(batch: Batch) -> bool:
    """The kill switch is on and nothing of the batch is on its way: only resuming would go on with it."""
    batch.account.refresh_from_db()
    moving = (SubmissionState.SUBMITTING, SubmissionState.UNCONFIRMED)
    return batch.account.sending_halted and not batch.orders.filter(submission_state__in=moving).exists()
