"""What single pages of reconciliation show: a run, a fix, the question before an approval."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Prefetch, Q
from django.http import HttpRequest
from django.urls import reverse
from django_htmx.middleware import HtmxDetails

from audit.models import AuditEntry
from reconciliation.board import progress_of
from reconciliation.listing import duration_of
from reconciliation.models import Drift, Fix, Run
from reconciliation.presentation import activity_ids, consequence_of, sections_of
from reconciliation.report import build_report
from reconciliation.undoing import UNDOABLE


def wants_all_fields(request: HttpRequest) -> bool:
    return request.GET.get("fields") == "all"


def board_path(request: HttpRequest) -> str:
    """The address of the board as the person had it before the act: with its page and its switch."""
    index = reverse("reconciliation:index")
    htmx = getattr(request, "htmx", None)
    current = htmx.current_url_abs_path if isinstance(htmx, HtmxDetails) else None
    return current if current and urlsplit(current).path == index else index


def consequences(fixes: list[Fix]) -> list[tuple[Fix, str]]:
    return [(fix, consequence_of(fix)) for fix in fixes]


def approved_sentence(approved: list[Fix]) -> str:
    if len(approved) == 1:
        return f"Approved: {approved[0].title}. Alpaca is read again, then it is written and verified."
    return f"{len(approved)} fixes approved. Alpaca is read again, then they are written and verified."


# --- A run ----------------------------------------------------------------------------------------------------


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


# --- A fix ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One moment in the life of a fix."""

    at: datetime
    word: str
    text: str
    actor: str = ""
    run: Run | None = None
    reason: str = ""


def fix_context(fix: Fix, *, all_fields: bool) -> dict[str, Any]:
    created = (fix.undo_plan or {}).get("created") or {}
    return {
        "fix": fix,
        "drifts": [(drift, activity_ids(drift.evidence)) for drift in fix.drifts.all()],
        "sections": sections_of(fix, all_fields=all_fields),
        "all_fields": all_fields,
        "consequence": consequence_of(fix),
        "steps": _steps(fix),
        "written": {name: pks for name, pks in created.items() if pks},
        "restorable": len((fix.undo_plan or {}).get("restored") or []),
        "can_be_undone": fix.state in UNDOABLE and fix.undo_plan is not None,
        "is_moving": fix.state in {Fix.State.APPROVED, Fix.State.APPLIED},
    }


def _steps(fix: Fix) -> list[Step]:
    """From its rows and the audit: the audit knows the reasons."""
    steps = [Step(at=fix.proposed_at, word="proposed", text="Proposed, with both sides as shown", run=fix.run)]
    entries = AuditEntry.objects.filter(subject_type="fix", subject_id=str(fix.pk)).order_by("at", "pk")
    steps += [
        Step(
            at=entry.at,
            word=entry.action.removeprefix("fix."),
            text=entry.summary,
            actor=entry.actor,
            reason=entry.reason,
        )
        for entry in entries
    ]
    if fix.verified_at:
        steps.append(
            Step(at=fix.verified_at, word="verified", text="A fresh read agrees", actor="", run=fix.verification_run)
        )
    return sorted(steps, key=lambda step: step.at)
