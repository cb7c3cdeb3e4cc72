"""Stop sending: for one batch, or for a whole account by its kill switch. Who may do so is checked by the callers."""

import logging
from datetime import datetime

from django.db import transaction

from audit import journal
from broker.models import Account
from orders.errors import WrongState
from orders.finishing import finish_batch
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order, OrderEvent
from ui.formatting import counted

log = logging.getLogger(__name__)


def halt_sending(*, account: Account, actor: str, reason: str, now: datetime) -> None:
    """Turn the kill switch on: no order of the account is claimed after the commit. Recorded orders wait."""
    with transaction.atomic():
        sending = Account.objects.filter(pk=account.pk, sending_halted=False)
        if not sending.update(sending_halted=True, halted_at=now, halted_by=actor[:150], halted_reason=reason[:300]):
            raise WrongState(f"Sending for {account.name} is halted already.")
        _journal_switch(account, "account.halted", f"Halted all sending for {account.name}", actor, reason, now)
    account.refresh_from_db()
    log.warning("sending halted for %s by %s: %s", account.slug, actor, reason)


def resume_sending(*, account: Account, actor: str, reason: str, now: datetime) -> None:
    """Turn the kill switch off: recorded orders of released batches are sent."""
    with transaction.atomic():
        halted = Account.objects.filter(pk=account.pk, sending_halted=True)
        if not halted.update(sending_halted=False, halted_at=None, halted_by="", halted_reason=""):
            raise WrongState(f"Sending for {account.name} is not halted.")
        _journal_switch(account, "account.resumed", f"Resumed sending for {account.name}", actor, reason, now)
    account.refresh_from_db()
    log.warning("sending resumed for %s by %s: %s", account.slug, actor, reason)


def halt_batch(*, batch: Batch, actor: str, reason: str, now: datetime) -> int:
    """Deny the batch's unsent orders and return how many. What is sent already is settled and followed as ever."""
    with transaction.atomic():
        live = Batch.objects.filter(pk=batch.pk, state__in=(Batch.State.SCHEDULED, Batch.State.RELEASED))
        if not live.update(state=Batch.State.HALTED):
            raise WrongState(f"Batch {batch.pk} is over: there is nothing left to halt.")
        denied = deny_unsent(batch, actor, reason, now)
        journal.record(
            at=now,
            actor=actor,
            action="batch.halted",
            account=batch.account.slug,
            subject_type="batch",
            subject_id=batch.pk,
            summary=f"Halted batch {batch.pk}, {batch.name}: {counted(denied, 'order was', 'orders were')} not sent",
            reason=reason,
        )
    finish_batch(batch_id=batch.pk, now=now)
    batch.refresh_from_db()
    log.warning("batch %s halted by %s, %s orders denied: %s", batch.pk, actor, denied, reason)
    return denied


def deny_unsent(batch: Batch, actor: str, reason: str, now: datetime) -> int:
    """Deny the recorded orders of a batch that is halted and return how many. Call it in a transaction."""
    unsent = list(batch.orders.filter(submission_state=SubmissionState.RECORDED).values_list("pk", flat=True))
    still = Order.objects.filter(pk__in=unsent, submission_state=SubmissionState.RECORDED)
    still.update(submission_state=SubmissionState.DENIED, refusal=f"Halted: {reason}"[:500], not_before=None)
    # A worker may have claimed some of them in between: only those that were really denied are told about.
    denied = Order.objects.filter(pk__in=unsent, submission_state=SubmissionState.DENIED)
    OrderEvent.objects.bulk_create(
        OrderEvent(order=order, at=now, kind="denied", text=f"Not sent: {reason}"[:500], actor=actor)
        for order in denied
    )
    return len(denied)


def _journal_switch(account: Account, action: str, summary: str, actor: str, reason: str, now: datetime) -> None:
    journal.record(
        at=now,
        actor=actor,
        action=action,
        account=account.slug,
        subject_type="account",
        subject_id=account.pk,
        summary=summary,
        reason=reason,
    )
