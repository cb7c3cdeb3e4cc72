"""What django-q2 runs for this package. Every task may come twice."""

from django.utils import timezone

from broker.models import Account
from broker.trading_days import refresh_trading_days
from positions.price_bars import drop_old_bars
from reconciliation.applying import apply_approved
from reconciliation.at_close import learn_calendar, request_close_runs
from reconciliation.errors import RunInProgress
from reconciliation.models import Run
from reconciliation.refreshing import refresh_account, thin_snapshots
from reconciliation.refreshing_charts import refresh_charts
from reconciliation.running import account_lease, make_run
from reconciliation.snapshots import prune_pictures
from work.queue import mark_started, rest

#: How long the figures are left alone after they could not be read.
SECONDS_AFTER_FAILURE = 5.0


def make_run_task(run_id: int) -> str:
    mark_started(f"run:{run_id}")
    run = Run.objects.select_related("account").get(pk=run_id)
    try:
        with account_lease(run.account, wait_seconds=0):
            run.refresh_from_db()
            if run.state not in {Run.State.QUEUED, Run.State.RUNNING}:
                return run.state
            return make_run(run=run).state
    except RunInProgress:
        return "busy"  # the ticker finds the row again


def apply_approved_task(account_id: int) -> str:
    mark_started(f"apply:{account_id}")
    account = Account.objects.get(pk=account_id)
    try:
        applied = apply_approved(account=account, actor="system:worker", wait_seconds=0)
    except RunInProgress:
        return "busy"
    return f"{len(applied.fixes)} fixes"


def refresh_account_task(account_id: int) -> str:
    name = f"refresh:{account_id}"
    mark_started(name)
    outcome = refresh_account(account=Account.objects.get(pk=account_id), now=timezone.now())
    if outcome.startswith("not refreshed"):
        # Keys that are refused, or a server that is down, must not cost the budget that orders need.
        rest(name, seconds=SECONDS_AFTER_FAILURE, now=timezone.now())
    return outcome


def refresh_charts_task(account_id: int) -> str:
    mark_started(f"charts:{account_id}")
    return refresh_charts(account=Account.objects.get(pk=account_id), now=timezone.now())


def thin_out() -> str:
    """Let go of old figures and old pictures of every account. What shows drift stays."""
    now = timezone.now()
    figures = pictures = 0
    for account in Account.objects.all():
        figures += thin_snapshots(account=account, now=now)
        pictures += prune_pictures(account=account, now=now)
    bars = drop_old_bars(now=now)
    return f"{figures} figures, {pictures} pictures of runs and {bars} bars deleted"


def reconcile_at_close() -> str:
    """Request the run of the session that has closed; on a day without trading, and the second time, nothing."""
    now = timezone.now()
    unknown = learn_calendar(now=now)
    return f"{request_close_runs(now=now)} runs requested. {unknown}".strip()


def refresh_calendar() -> str:
    """Raises what Alpaca's answer was, so that the schedule shows the failure; the days read before go on counting."""
    return f"{refresh_trading_days(now=timezone.now())} days are new or have changed"
