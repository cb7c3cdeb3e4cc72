"""Apply approved fixes: read again, write what was shown or nothing, read again to verify.

1. A fresh run proposes anew from what database and Alpaca say now. A fix that it does not propose again under the
   same key and fingerprint is void (STALE or WITHDRAWN), and nothing of it is written.
2. Each remaining fix is written in one transaction with its audit entry and its way back.
3. A last run verifies: what it still shows has failed, what is gone is verified.
Interrupted anywhere, the rows say what is left: approved fixes are applied, applied ones verified by the next run.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from audit import journal
from broker.models import Account
from orders.errors import OrdersError
from positions.rebuilding import rebuild_positions
from reconciliation.approving import let_lapse
from reconciliation.broker_actions import carry_out, record_at_broker
from reconciliation.corporate_operations import symbols_of
from reconciliation.errors import FixRefused
from reconciliation.exitless_rows import exitless_rows
from reconciliation.models import Fix, Run
from reconciliation.operations import Undo, perform
from reconciliation.policies import PolicyBook, session_end
from reconciliation.refreshing import refresh_account
from reconciliation.refreshing_charts import ask_for_charts
from reconciliation.running import account_lease, keeps_lease, make_run, request_run
from reconciliation.wipe_out import touches_open_position, wipe_out
from work import correlation

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of an account's approved fixes."""

    fixes: list[Fix]
    first_run: Run | None
    verification_run: Run | None

    @property
    def all_verified(self) -> bool:
        return all(fix.state == Fix.State.VERIFIED for fix in self.fixes)


def apply_approved(*, account: Account, actor: str, wait_seconds: float = 120) -> Applied:
    """Apply and verify every approved fix of the account. Without any, it reads nothing."""
    waiting = Fix.objects.filter(account=account)
    if not waiting.awaiting_apply().exists() and not waiting.filter(state=Fix.State.APPLIED).exists():
        return Applied(fixes=[], first_run=None, verification_run=None)
    with account_lease(account, wait_seconds=wait_seconds):
        pks = list(waiting.filter(state__in=[Fix.State.APPROVED, Fix.State.APPLIED]).values_list("pk", flat=True))
        if not pks:
            return Applied(fixes=[], first_run=None, verification_run=None)
        carry_out(account)  # what an earlier process left unsent
        act = waiting.filter(pk__in=pks).exclude(correlation_id="").values_list("correlation_id", flat=True).first()
        first = _run(account, Run.Trigger.APPROVAL, actor, act)
        if first.state != Run.State.INCOMPLETE:
            _check_guard(account)
            for pk in pks:
                if not keeps_lease(account):
                    break  # whoever took the account over goes on from the rows
                fix = Fix.objects.get(pk=pk)
                with correlation.carrying(fix.correlation_id):
                    _apply_or_void(fix, timezone.now())
        written = waiting.filter(pk__in=pks, state=Fix.State.APPLIED).exists()
        carry_out(account)
        last = _run(account, Run.Trigger.VERIFICATION, actor, act) if written else None
    if written:
        # New positions shall show a price at once, not with the next round of the worker.
        refresh_account(account=account, now=timezone.now())
        ask_for_charts(account)
    return Applied(fixes=list(Fix.objects.filter(pk__in=pks).order_by("pk")), first_run=first, verification_run=last)


def _check_guard(account: Account) -> None:
    """At the last moment: approvals given at the same time, one by one, or before positions were closed elsewhere;
    and those that come to be applied at a time which a policy bars.

    What a person let through with a reason was counted then, together with everything that was approved before it.
    """
    now = timezone.now()
    waiting = Fix.objects.filter(account=account, state=Fix.State.APPROVED, override_reason="")
    fixes = list(waiting.select_related("account"))
    barred = PolicyBook(account).barred(fixes, now=now, closes_at=session_end(account, now))
    for fix in [fix for fix in fixes if fix.pk in barred]:
        let_lapse(fixes=[fix], sentence=f"{barred[fix.pk]} The approval lapsed.", now=now)
        fixes.remove(fix)
    danger = wipe_out(account, fixes)
    if danger is not None:
        sentence = f"{danger.sentence} The approvals lapsed: approve again with a reason."
        logger.warning("%s: %s", account.slug, sentence)
        let_lapse(fixes=[f for f in fixes if touches_open_position(f)], sentence=sentence, now=now)


def _run(account: Account, trigger: str, actor: str, act: str | None) -> Run:
    with correlation.carrying(act or ""):
        return make_run(run=request_run(account=account, trigger=trigger, requested_by=actor, now=timezone.now()))


def _apply_or_void(fix: Fix, now: datetime) -> None:
    """A fix that cannot be written is void with its reason, and does not keep the others from being written."""
    try:
        apply_fix(fix=fix, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database delays the work, it does not decide about it
    except Exception as error:
        reason = str(error) if isinstance(error, FixRefused | OrdersError) else f"{type(error).__name__}: {error}"
        logger.exception("fix %s of %s could not be written", fix.pk, fix.account.slug)
        Fix.objects.filter(pk=fix.pk, state=Fix.State.APPROVED).update(
            state=Fix.State.STALE, outcome=f"It could not be written, so nothing was changed. {reason}"[:500]
        )


def apply_fix(*, fix: Fix, now: datetime) -> bool:
    """Write one approved fix; False if it is not (or no longer) approved. Two callers: one writes."""
    with transaction.atomic():
        claimed = Fix.objects.filter(pk=fix.pk, state=Fix.State.APPROVED, fingerprint=fix.fingerprint).update(
            state=Fix.State.APPLIED, applied_at=now
        )
        if not claimed:
            return False
        undo_plan = record_at_broker(fix=fix, now=now) if fix.acts_at_broker else _write(fix, now)
        Fix.objects.filter(pk=fix.pk).update(undo_plan=undo_plan)
        journal.record(
            at=now,
            actor=fix.approved_by,
            action="fix.applied",
            account=fix.account.slug,
            subject_type="fix",
            subject_id=fix.pk,
            summary=f"Applied: {fix.title}",
            before=fix.before,
            after=fix.after,
        )
    fix.refresh_from_db()
    logger.info("fix %s applied for %s: %s", fix.pk, fix.account.slug, fix.title)
    return True


def _write(fix: Fix, now: datetime) -> dict[str, Any]:
    """Write a copy into our books and return the way back."""
    undo = Undo()
    symbols = symbols_of(fix)
    exitless = exitless_rows(fix.account, symbols)
    undo.note_positions_before(fix.account, symbols)
    for operation in fix.plan:
        perform(operation=operation, account=fix.account, fix_pk=fix.pk, undo=undo, now=now)
    rebuild_positions(account=fix.account, symbols=symbols, now=now)
    undo.note_positions_after(fix.account, symbols)
    return {**undo.as_plan(), "exitless": exitless}
