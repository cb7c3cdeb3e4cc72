"""Find in the rows which of this package's work is due, and queue it."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from broker.models import Account, AccountSnapshot
from orders.models import Batch
from reconciliation.broker_actions import awaits_broker
from reconciliation.models import Fix, Run
from reconciliation.refreshing import refresh_lease
from reconciliation.refreshing_charts import charts_are_due
from reconciliation.running import lease_name, request_run
from work import correlation, leases
from work.queue import enqueue_once

#: After an incomplete read the approved fixes wait this long before they are tried again.
RETRY_AFTER_INCOMPLETE = timedelta(seconds=30)
#: After a run that could not judge what a fix did at Alpaca, the next one waits this long.
LOOK_AGAIN_AFTER = timedelta(seconds=10)
#: How old the account's figures on the pages may become while a worker runs.
REFRESH_EVERY = timedelta(seconds=15)


def queue_due_work(now: datetime) -> int:
    """Queue every due run, application and refresh once. Return how many were queued."""
    _request_runs_after_batches(now)
    queued = 0
    waiting = Run.objects.filter(state__in=[Run.State.QUEUED, Run.State.RUNNING]).select_related("account")
    for run in waiting.order_by("pk")[:20]:
        if leases.is_free(lease_name(run.account), now=now):
            queued += enqueue_once(f"run:{run.pk}", "reconciliation.tasks.make_run_task", run.pk, now=now)
    for account in Account.objects.active():
        queued += _queue_for(account, now)
    return queued


def _request_runs_after_batches(now: datetime) -> None:
    delay = timedelta(seconds=settings.SETTLING_DELAY_SECONDS)
    for batch in Batch.objects.awaiting_reconciliation(now, delay=delay).select_related("account"):
        with correlation.carrying(batch.correlation_id), transaction.atomic():
            if Batch.objects.filter(pk=batch.pk, reconciled_at__isnull=True).update(reconciled_at=now):
                request_run(
                    account=batch.account, trigger=Run.Trigger.BATCH, requested_by=f"system:batch {batch.pk}", now=now
                )


def _queue_for(account: Account, now: datetime) -> int:
    queued = 0
    if _has_fixes_to_apply(account, now) and leases.is_free(lease_name(account), now=now):
        queued += enqueue_once(f"apply:{account.pk}", "reconciliation.tasks.apply_approved_task", account.pk, now=now)
    is_fresh = AccountSnapshot.objects.filter(account=account, read_at__gt=now - REFRESH_EVERY).exists()
    if not is_fresh and leases.is_free(refresh_lease(account), now=now):
        queued += enqueue_once(
            f"refresh:{account.pk}", "reconciliation.tasks.refresh_account_task", account.pk, now=now
        )
    if charts_are_due(account, now):
        queued += enqueue_once(f"charts:{account.pk}", "reconciliation.tasks.refresh_charts_task", account.pk, now=now)
    return queued


def _has_fixes_to_apply(account: Account, now: datetime) -> bool:
    live = Fix.objects.filter(account=account, state__in=[Fix.State.APPROVED, Fix.State.APPLIED])
    fixes = [fix for fix in live if not (fix.state == Fix.State.APPLIED and awaits_broker(fix))]
    if not fixes:
        return False
    ended = Run.objects.filter(account=account)
    if ended.filter(state=Run.State.INCOMPLETE, finished_at__gt=now - RETRY_AFTER_INCOMPLETE).exists():
        return False
    if any(not fix.acts_at_broker or fix.state == Fix.State.APPROVED for fix in fixes):
        return True
    # Alpaca has done it, and a run could not judge yet.
    return not ended.filter(finished_at__gt=now - LOOK_AGAIN_AFTER).exists()
