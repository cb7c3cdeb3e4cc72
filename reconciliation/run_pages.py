"""What the page of a run shows: its proof of completeness, what it found, its report."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, Q

from reconciliation.board import progress_of
from reconciliation.listing import duration_of
from reconciliation.models import Drift, Fix, Run
from reconciliation.report import build_report


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one list of Alpaca's was read to: None where that has no meaning."""

    name: str
    pages: int | None
    rows: int | None
    last_cursor: str


def seconds_of(run: Run) -> str:
    """How long it took, to the tenth of a second; empty while it is not over."""
    duration = duration_of(run)
    return "" if duration is None else f"{duration.total_seconds():.1f}"


def run_context(run: Run) -> dict[str, Any]:
    is_over = run.state not in {Run.State.QUEUED, Run.State.RUNNING}
    return {
        "run": run,
        "is_over": is_over,
        "progress": None if is_over else progress_of(run),
        "seconds": seconds_of(run),
        "proofs": list(_proofs(run)),
        "window": _window(run),
        "causes": _causes(run),
        "fixes": list(Fix.objects.filter(Q(run=run) | Q(verification_run=run)).defer("plan", "undo_plan")),
        "report": build_report(run) if is_over else None,
    }


#: More causes than this in one run are a story for the CSV and the report, not for one page.
CAUSES_SHOWN = 200


def _causes(run: Run) -> list[Drift]:
    """What the run showed: seen first in it or before, and last in it or after. A run's drifts bear its own time."""
    if run.finished_at is None:
        return []
    seen = Drift.objects.filter(
        account=run.account, first_seen_at__lte=run.finished_at, last_seen_at__gte=run.finished_at
    )
    followers = Prefetch("consequences", seen.defer("evidence").order_by("pk"))
    return list(seen.roots().select_related("fix").defer("evidence").prefetch_related(followers)[:CAUSES_SHOWN])


def _proofs(run: Run) -> Iterator[Proof]:
    for name, counts in run.completeness.items():
        if name != "window" and isinstance(counts, dict):
            yield Proof(
                name=name.replace("_", " "),
                pages=counts.get("pages"),
                rows=counts.get("rows"),
                last_cursor=str(counts.get("last_cursor", "")),
            )


def _window(run: Run) -> dict[str, datetime | None]:
    window = run.completeness.get("window") or {}
    return {name: datetime.fromisoformat(text) if text else None for name, text in window.items()}
