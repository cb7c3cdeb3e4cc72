"""What single pages of reconciliation show: a fix, the question before an approval."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from audit.models import AuditEntry
from reconciliation.broker_actions import done_at_broker
from reconciliation.broker_permission import who_may
from reconciliation.entered_asking import asks_for
from reconciliation.forms import write_shown
from reconciliation.models import Fix, Run
from reconciliation.moved import moved
from reconciliation.opposites import has_opposite, is_wanted, opposite_in_words
from reconciliation.presentation import activity_ids, consequence_of, sections_of
from reconciliation.receipts import why_not_undone, written_by
from reconciliation.undoing import UNDOABLE


def wants_all_fields(request: HttpRequest) -> bool:
    return request.GET.get("fields") == "all"


def consequences(fixes: list[Fix]) -> list[tuple[Fix, str]]:
    return [(fix, consequence_of(fix)) for fix in fixes]


def approved_sentence(approved: list[Fix]) -> str:
    if len(approved) == 1:
        return f"Approved: {approved[0].title}. Alpaca is read again, then it is written and verified."
    return f"{len(approved)} fixes approved. Alpaca is read again, then they are written and verified."


def requested_sentence(requested: list[Fix]) -> str:
    subject = requested[0].title if len(requested) == 1 else f"{len(requested)} fixes"
    return f"Requested by you: {subject}. The policy asks for two people: another person must approve it."


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


def fix_context(fix: Fix, *, all_fields: bool, now: datetime) -> dict[str, Any]:
    is_undoable = fix.state in UNDOABLE and fix.undo_plan is not None and not fix.acts_at_broker
    return {
        **(_at_broker(fix) if fix.acts_at_broker else {}),
        "fix": fix,
        "drifts": [(drift, activity_ids(drift.evidence)) for drift in fix.drifts.all()],
        "asked": {drift.pk: asks_for(drift) for drift in fix.drifts.all()},
        "sections": sections_of(fix, all_fields=all_fields),
        "all_fields": all_fields,
        "consequence": consequence_of(fix),
        "steps": _steps(fix),
        "written": written_by(fix),
        "can_be_undone": is_undoable,
        "why_not_undone": why_not_undone(fix, now) if is_undoable else "",
        "pairs": moved([fix]),
        "shown": write_shown([fix]),
        "is_moving": fix.state in {Fix.State.APPROVED, Fix.State.APPLIED},
    }


def _at_broker(fix: Fix) -> dict[str, Any]:
    return {
        "at_broker": done_at_broker(fix),
        "who_may_act": who_may(),
        "opposite_words": opposite_in_words(fix),
        "has_opposite": has_opposite(fix),
        "opposite_is_wanted": is_wanted(fix),
    }


def _steps(fix: Fix) -> list[Step]:
    """From its rows and the audit: the audit knows the reasons."""
    steps = [Step(at=fix.proposed_at, word="proposed", text="Proposed, with both sides as shown", run=fix.run)]
    entries = AuditEntry.objects.filter(subject_type="fix", subject_id=str(fix.pk)).order_by("at", "pk")
    steps += [
        Step(
            at=entry.at,
            word=entry.action.removeprefix("fix.").replace("_", " "),
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
