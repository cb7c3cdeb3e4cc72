"""What django-q2 runs for this package. Every task may come twice."""

from datetime import timedelta

from django.utils import timezone

from broker.errors import BrokerError
from broker.gateway import open_gateway
from broker.models import Account
from broker.times import NEW_YORK
from positions.price_bars import drop_old_bars
from reconciliation.applying import apply_approved
from reconciliation.errors import RunInProgress
from reconciliation.models import Run
from reconciliation.refreshing import refresh_account, thin_snapshots
from reconciliation.refreshing_charts import refresh_charts
from reconciliation.running import account_lease, make_run, request_run
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
    """Request the day's run of every active account; on a day without trading, and the second time, nothing."""
    now = timezone.now()
    requested = 0
    for account in Account.objects.active():
        if _is_trading_day(account) and not _was_requested_today(account):
            request_run(account=account, trigger=Run.Trigger.CLOSE, requested_by="system:schedule", now=now)
            requested += 1
    return f"{requested} runs requested"


def _is_trading_day(account: Account) -> bool:
    """Ask Alpaca's calendar; if it cannot be asked, a run too many is better than none."""
    today = timezone.now().astimezone(NEW_YORK).date()
    try:
        days = open_gateway(account).get_calendar(today, today)
    except BrokerError:
        return True
    return any(day.day == today for day in days)


def _was_requested_today(account: Account) -> bool:
    midnight = timezone.now().astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    recent = Run.objects.filter(account=account, trigger=Run.Trigger.CLOSE)
    return recent.filter(requested_at__gte=midnight, requested_at__lt=midnight + timedelta(days=1)).exists()
