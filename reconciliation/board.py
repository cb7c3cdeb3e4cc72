"""The reconciliation page of one account: the verdict, what is open, what is being repaired.

It costs the same few queries however many drifts there are.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import Prefetch, QuerySet

from broker.models import Account
from reconciliation.at_close import next_close_run
from reconciliation.balance import Balance, balance_of
from reconciliation.models import Drift, Fix, Run
from reconciliation.presentation import SEVERITIES, Cause, cause_of, gravest, rank, total
from reconciliation.protection_planning import INSTEAD
from reconciliation.under_way import RepairProgress, RunProgress, progress_of
from work.heartbeat import last_beat

CAUSES_PER_PAGE = 25
#: How long a repair stays in sight after it was approved.
STORY_SPAN = timedelta(hours=24)
REPAIRS_SHOWN = 50
#: The filters: everybody's, those assigned to the reader, those assigned to nobody.
WHOSE = ("", "mine", "nobody")
#: A request that nobody has taken up for so long says that no worker may be there.
WAITING_TOO_LONG = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The causes of one severity on this page of the list."""

    severity: str
    causes: list[Cause]

    @property
    def dollars(self) -> Decimal:
        return total(cause.drift.dollars for cause in self.causes)


class Root(NamedTuple):
    """An open cause, as much of it as counting, sorting and filtering need."""

    pk: int
    key: str
    severity: str  # of the gravest in the family
    dollars: Decimal | None
    assigned_to: str


class Board:
    """Everything the page shows; each part is asked for once."""

    def __init__(
        self,
        *,
        account: Account,
        now: datetime,
        page: str | None = None,
        all_fields: bool = False,
        whose: str = "",
        username: str = "",
    ) -> None:
        self.account = account
        self.now = now
        self.all_fields = all_fields
        self.whose = whose if whose in WHOSE else ""
        self.username = username
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
        return next_close_run(self.account, self.now)

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
    def _open_roots(self) -> list[Root]:
        """Every open root, gravest and oldest first."""
        mine = Drift.objects.filter(account=self.account).open()
        family: dict[int, list[str]] = defaultdict(list)
        for cause_id, severity in mine.filter(cause__isnull=False).values_list("cause_id", "severity"):
            family[cause_id].append(severity)
        roots = mine.roots().order_by("pk").values_list("pk", "key", "severity", "dollars", "assigned_to")
        found = [Root(pk, key, gravest([grave, *family[pk]]), dollars, to) for pk, key, grave, dollars, to in roots]
        return sorted(found, key=lambda root: rank(root.severity))

    @cached_property
    def _shown_roots(self) -> list[Root]:
        if not self.whose:
            return self._open_roots
        owner = self.username if self.whose == "mine" else ""
        return [root for root in self._open_roots if root.assigned_to == owner]

    @property
    def cause_count(self) -> int:
        return len(self._open_roots)

    @property
    def shown_count(self) -> int:
        return len(self._shown_roots)

    @property
    def mine_count(self) -> int:
        return sum(1 for root in self._open_roots if root.assigned_to == self.username)

    @property
    def nobodys_count(self) -> int:
        return sum(1 for root in self._open_roots if not root.assigned_to)

    @property
    def dollars(self) -> Decimal:
        return total(root.dollars for root in self._open_roots)

    @cached_property
    def balance(self) -> Balance:
        return balance_of(self.account, self.now, [(root.key, root.dollars) for root in self._open_roots])

    @cached_property
    def page(self) -> "Page[Root]":
        return Paginator(self._shown_roots, CAUSES_PER_PAGE).get_page(self._page_number)

    @cached_property
    def groups(self) -> list[Group]:
        wanted = [root.pk for root in self.page]
        followers = Prefetch("consequences", Drift.objects.open().order_by("pk"))
        rows = (
            Drift.objects.filter(pk__in=wanted)
            .select_related("fix")
            .prefetch_related(followers, "comments", "entered_values")
        )
        by_pk = {drift.pk: drift for drift in rows}
        choices = self._choices_of(by_pk.values())
        causes = [
            cause_of(by_pk[pk], all_fields=self.all_fields, instead=choices.get(by_pk[pk].key + INSTEAD))
            for pk in wanted
            if pk in by_pk
        ]
        groups = [
            Group(severity=severity, causes=[cause for cause in causes if cause.severity == severity])
            for severity in SEVERITIES
        ]
        return [group for group in groups if group.causes]

    def _choices_of(self, drifts: Iterable[Drift]) -> dict[str, Fix]:
        """By key, what may be done at Alpaca instead of copying its word."""
        keys = [drift.key + INSTEAD for drift in drifts]
        return {fix.key: fix for fix in Fix.objects.filter(account=self.account, key__in=keys).proposed()}

    @cached_property
    def proposed(self) -> list[Fix]:
        """Every fix that this person may approve and the filter leaves, on this page of the list or not."""
        fixes = proposed_fixes(self.account, username=self.username)
        if self.whose:
            owner = self.username if self.whose == "mine" else ""
            causes = Drift.objects.filter(account=self.account, assigned_to=owner).open().roots()
            fixes = fixes.filter(pk__in=causes.filter(fix__isnull=False).values("fix"))
        return list(fixes)

    @property
    def safe_copies(self) -> list[Fix]:
        return [fix for fix in self.proposed if fix.is_safe_copy]

    @property
    def asks_for_list(self) -> bool:
        """Not all of them are in sight: they are listed before they are approved together."""
        return self.page.has_other_pages()

    @property
    def most_without_count(self) -> int:
        """More than this at once, and their number is typed before they are approved."""
        most: int = settings.TYPE_COUNT_ABOVE
        return most

    @cached_property
    def ignored(self) -> list[Drift]:
        mine = Drift.objects.filter(account=self.account, state=Drift.State.IGNORED).roots()
        mine = mine.defer("evidence", "local", "broker").prefetch_related("consequences")
        return list(mine.order_by("ignored_until", "pk")[:REPAIRS_SHOWN])

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


def proposed_fixes(account: Account, *, username: str = "") -> "QuerySet[Fix]":
    """The copies that wait for a person; for `username`, without those that wait for another person's approval."""
    fixes = (
        Fix.objects.filter(account=account, acts_at_broker=False)
        .proposed()
        .order_by("pk")
        .defer("before", "broker", "undo_plan")
    )
    return fixes.exclude(requested_by=username) if username else fixes
