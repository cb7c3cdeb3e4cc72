"""The reconciliation page of one account: the verdict, what is open, what is being repaired.

It costs the same few queries however many drifts there are.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from django.core.paginator import Page, Paginator
from django.db.models import Prefetch
from django_q.models import Schedule

from broker.models import Account
from reconciliation.models import Drift, Fix, Run
from reconciliation.presentation import SEVERITIES, Cause, cause_of, gravest, rank, total
from reconciliation.progress_estimate import Estimate, estimate_run, is_late, left_words, seconds_left
from work.heartbeat import last_beat

CAUSES_PER_PAGE = 25
#: How long a repair stays in sight after it was approved.
STORY_SPAN = timedelta(hours=24)
REPAIRS_SHOWN = 50
#: A request that nobody has taken up for so long says that no worker may be there.
WAITING_TOO_LONG = timedelta(seconds=15)
#: The steps of one reading, in their order.
STEPS = ("import orders", "import fills", "open_orders", "orders", "activities", "positions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The causes of one severity on this page of the list."""

    severity: str
    causes: list[Cause]

    @property
    def dollars(self) -> Decimal:
        return total(cause.drift.dollars for cause in self.causes)


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


class Board:
    """Everything the page shows; each part is asked for once."""

    def __init__(self, *, account: Account, now: datetime, page: str | None = None, all_fields: bool = False) -> None:
        self.account = account
        self.now = now
        self.all_fields = all_fields
        self._page_number = page

    # --- The verdict ----------------------------------------------------------------------------------------

    @cached_property
    def last_run(self) -> Run | None:
        return Run.objects.filter(account=self.account).finished().order_by("-finished_at", "-pk").first()

    @cached_property
    def progress(self) -> RunProgress | None:
        """The run that is queued or being made, if any."""
        waiting = Run.objects.filter(account=self.account, state__in=[Run.State.QUEUED, Run.State.RUNNING])
        run = waiting.order_by("-state", "pk").first()  # "running" before "queued"
        return progress_of(run, self.now) if run else None

    @cached_property
    def next_run_at(self) -> datetime | None:
        schedules = Schedule.objects.filter(func="reconciliation.tasks.reconcile_at_close").order_by("next_run")
        at: datetime | None = schedules.values_list("next_run", flat=True).first()
        return at

    @property
    def state(self) -> str:
        return self.last_run.state if self.last_run else "never"

    @cached_property
    def lacks_worker(self) -> bool:
        """Something waits, and nothing has shown that a worker lives."""
        waits_since = [fix.approved_at for fix in self.repairs if fix.state == Fix.State.APPROVED and fix.approved_at]
        if self.progress and self.progress.run.state == Run.State.QUEUED:
            waits_since.append(self.progress.run.requested_at)
        if not waits_since or self.now - min(waits_since) < WAITING_TOO_LONG:
            return False
        beat = last_beat("ticker")
        return beat is None or self.now - beat > WAITING_TOO_LONG

    # --- What is open ---------------------------------------------------------------------------------------

    @cached_property
    def _open_roots(self) -> list[tuple[int, str, Decimal | None]]:
        """Id, severity of the family and dollars of every open root, gravest and oldest first."""
        mine = Drift.objects.filter(account=self.account).open()
        family: dict[int, list[str]] = defaultdict(list)
        for cause_id, severity in mine.filter(cause__isnull=False).values_list("cause_id", "severity"):
            family[cause_id].append(severity)
        roots = mine.roots().order_by("pk").values_list("pk", "severity", "dollars")
        found = [(pk, gravest([severity, *family[pk]]), dollars) for pk, severity, dollars in roots]
        return sorted(found, key=lambda root: rank(root[1]))

    @property
    def cause_count(self) -> int:
        return len(self._open_roots)

    @property
    def dollars(self) -> Decimal:
        return total(dollars for _pk, _severity, dollars in self._open_roots)

    @cached_property
    def page(self) -> "Page[tuple[int, str, Decimal | None]]":
        return Paginator(self._open_roots, CAUSES_PER_PAGE).get_page(self._page_number)

    @cached_property
    def groups(self) -> list[Group]:
        wanted = [pk for pk, _severity, _dollars in self.page]
        followers = Prefetch("consequences", Drift.objects.open().order_by("pk"))
        rows = Drift.objects.filter(pk__in=wanted).select_related("fix", "first_run").prefetch_related(followers)
        by_pk = {drift.pk: drift for drift in rows}
        causes = [cause_of(by_pk[pk], all_fields=self.all_fields) for pk in wanted if pk in by_pk]
        groups = [
            Group(severity=severity, causes=[cause for cause in causes if cause.severity == severity])
            for severity in SEVERITIES
        ]
        return [group for group in groups if group.causes]

    @cached_property
    def proposed(self) -> list[Fix]:
        """Every fix that waits for a person, on this page of the list or not."""
        return list(proposed_fixes(self.account))

    @property
    def safe_copies(self) -> list[Fix]:
        return [fix for fix in self.proposed if fix.is_safe_copy]

    @property
    def asks_for_count(self) -> bool:
        """So many, or not all of them in sight: they are listed before they are approved together."""
        return asks_for_count(len(self.proposed)) or self.page.has_other_pages()

    @cached_property
    def ignored(self) -> list[Drift]:
        mine = Drift.objects.filter(account=self.account, state=Drift.State.IGNORED).roots()
        return list(mine.order_by("ignored_until", "pk").defer("evidence", "local", "broker")[:REPAIRS_SHOWN])

    # --- What is being repaired -----------------------------------------------------------------------------

    @cached_property
    def repairs(self) -> list[Fix]:
        """Approved lately, the latest first; those under way stay until they have ended."""
        approved = Fix.objects.filter(account=self.account, approved_at__gt=self.now - STORY_SPAN)
        return list(
            approved.select_related("verification_run")
            .defer("plan", "before", "broker", "after", "undo_plan")
            .order_by("-approved_at", "pk")[:REPAIRS_SHOWN]
        )

    @cached_property
    def repair_progress(self) -> RepairProgress | None:
        under_way = [fix for fix in self.repairs if fix.state in {Fix.State.APPROVED, Fix.State.APPLIED}]
        if not under_way:
            return None
        since = min(fix.approved_at for fix in under_way if fix.approved_at)
        story = [fix.state for fix in self.repairs if fix.approved_at and fix.approved_at >= since]
        approved, applied = story.count(Fix.State.APPROVED), story.count(Fix.State.APPLIED)
        return RepairProgress(
            approved=approved,
            applied=applied,
            ended=len(story) - approved - applied,
            took=self._last_repair_took,
            elapsed=(self.now - since).total_seconds(),
        )

    @property
    def _last_repair_took(self) -> float | None:
        spans = [(fix.verified_at, fix.approved_at) for fix in self.repairs if fix.verified_at and fix.approved_at]
        return max(spans)[0].timestamp() - max(spans)[1].timestamp() if spans else None

    @property
    def verified_count(self) -> int:
        return sum(1 for fix in self.repairs if fix.state == Fix.State.VERIFIED)

    @property
    def is_busy(self) -> bool:
        return self.progress is not None or self.repair_progress is not None


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


def proposed_fixes(account: Account) -> "list[Fix]":
    fixes = Fix.objects.filter(account=account).proposed().order_by("pk")
    return list(fixes.defer("before", "broker", "undo_plan"))


#: Approving more than this at once asks for the number to be typed.
MOST_WITHOUT_COUNT = 10


def asks_for_count(number: int) -> bool:
    return number > MOST_WITHOUT_COUNT
