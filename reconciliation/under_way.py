"""How far the things are that people wait for: a run being made, approved fixes on their way to verified."""

from dataclasses import dataclass
from datetime import datetime

from reconciliation.models import Run
from reconciliation.progress_estimate import Estimate, estimate_run, is_late, left_words, seconds_left

#: The steps of one reading, in their order.
STEPS = ("import orders", "import fills", "open_orders", "orders", "activities", "positions")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far a run is that has not ended: the step it is in and the rows it has read so far."""

    run: Run
    step: int
    steps: int
    words: str
    estimate: Estimate | None

    @property
    def value(self) -> int:
        """Rows where their number can be estimated, else steps."""
        return self.estimate.rows if self._by_rows and self.estimate else self.step

    @property
    def most(self) -> int:
        return (self._by_rows and self.estimate and self.estimate.expected_rows) or self.steps

    @property
    def _by_rows(self) -> bool:
        return self.estimate is not None and bool(self.estimate.expected_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairProgress:
    """The approved fixes of one go on their way to verified."""

    approved: int
    applied: int
    ended: int
    took: float | None
    elapsed: float

    @property
    def left(self) -> str:
        """By the last repair that was verified: most of the time goes into reading, however many they are."""
        return left_words(seconds_left(self.took, self.elapsed), is_late=is_late(self.took, self.elapsed))

    @property
    def count(self) -> int:
        return self.approved + self.applied + self.ended

    @property
    def value(self) -> int:
        """Each fix is half done when it is written and done when a fresh read has spoken."""
        return self.applied + 2 * self.ended

    @property
    def most(self) -> int:
        return 2 * self.count


def progress_of(run: Run, now: datetime) -> RunProgress:
    name = run.progress.get("step", "")
    step = STEPS.index(name) + 1 if name in STEPS else 0
    if run.state == Run.State.QUEUED:
        words = "Waits for a worker"
    elif name:
        words = f"Reads {name.replace('_', ' ')}: {run.progress.get(name, 0):,} so far"
    else:
        words = "Reads Alpaca"
    estimate = estimate_of(run, now) if run.state == Run.State.RUNNING and run.started_at else None
    return RunProgress(run=run, step=step, steps=len(STEPS), words=words, estimate=estimate)


def estimate_of(run: Run, now: datetime) -> Estimate:
    """What is left by the last run that read everything and the same: all history, or since the cursor."""
    complete = Run.objects.filter(
        account=run.account_id, is_full=run.is_full, state__in=[Run.State.IN_SYNC, Run.State.DRIFT]
    )
    last = complete.exclude(started_at=None).exclude(finished_at=None).order_by("-pk").first()
    took = (last.finished_at - last.started_at).total_seconds() if last else None  # type: ignore[operator]  # both are set
    counts = last.completeness if last else {}
    expected = {name: counts[name].get("rows", 0) for name in STEPS if isinstance(counts.get(name), dict)}
    elapsed = (now - run.started_at).total_seconds() if run.started_at else 0.0
    return estimate_run(run.progress, expected=expected, took=took, elapsed=elapsed)
