"""How far a batch is, in one query however many lines it has, and what came of it in a sentence."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from orders.lifecycle import SETTLED, SubmissionState, is_terminal
from orders.models import Batch

REFUSED = (SubmissionState.DENIED, SubmissionState.REJECTED, SubmissionState.NOT_PLACED)
#: A rate measured over less than this says nothing about what is left.
LEAST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How many orders of a batch are where. `working` can still fill at Alpaca.

    `replaced` go on there under other ids; `ended` are over there without having filled whole.
    """

    counts: tuple[tuple[str, int], ...]
    settled: int
    total: int
    working: int
    filled: int
    ended: int
    replaced: int
    seconds_left: int | None = None

    def of(self, *states: str) -> int:
        return sum(number for state, number in self.counts if state in states)

    @property
    def confirmed(self) -> int:
        return self.of(SubmissionState.CONFIRMED)

    @property
    def refused(self) -> int:
        return self.of(*REFUSED)

    @property
    def unknown(self) -> int:
        return self.of(SubmissionState.UNCONFIRMED)

    @property
    def is_moving(self) -> bool:
        return self.settled < self.total or self.working > 0


def progress_of(batch: Batch, now: datetime | None = None) -> Progress:
    pairs = batch.orders.order_by().values_list("submission_state", "status").annotate(number=Count("pk"))
    return _progress(list(pairs), batch, now)


def _progress(rows: Iterable[tuple[str, str, int]], batch: Batch, now: datetime | None) -> Progress:
    found = dict.fromkeys(SubmissionState, 0)
    working = filled = ended = replaced = 0
    for state, status, number in rows:
        found[SubmissionState(state)] += number
        if state != SubmissionState.CONFIRMED:
            continue
        if status == "filled":
            filled += number
        elif status == "replaced":
            replaced += number
        elif is_terminal(status):
            ended += number
        else:
            working += number
    counts = tuple((state.value, number) for state, number in found.items() if number)
    settled = sum(number for state, number in counts if state in SETTLED)
    total = sum(found.values())
    left = _seconds_left(batch, settled, total, now)
    return Progress(counts, settled, total, working, filled, ended, replaced, left)


def _seconds_left(batch: Batch, settled: int, total: int, now: datetime | None) -> int | None:
    """Return how long the rest takes if it goes on as it went; None while nothing can be said."""
    if now is None or batch.state != Batch.State.RELEASED or batch.released_at is None or not 0 < settled < total:
        return None
    passed = (now - batch.released_at).total_seconds()
    return None if passed < LEAST_SECONDS else max(1, round(passed / settled * (total - settled)))
