"""What django-q2 runs for this package. Every task may come twice."""

from datetime import date, datetime, time, timedelta

from django.utils import timezone

from alerts.daily_report import make_report
from broker.models import Account
from broker.times import NEW_YORK
from reconciliation.models import Run

#: The earliest close of a session, on a half day. A run that was asked for earlier belongs to a session before.
EARLIEST_CLOSE = time(13, 0)
#: A run at the close that has not ended by then is waited for no longer: the report says so.
WAITED_FOR = timedelta(minutes=30)


def daily_report() -> str:
    """Make the reports that are due: one for each account and session, after the run at its close."""
    now = timezone.now()
    made = sum(report_if_due(account, now) for account in Account.objects.active().order_by("slug"))
    return f"{made} reports made"


def report_if_due(account: Account, now: datetime) -> bool:
    close = Run.objects.filter(account=account, trigger=Run.Trigger.CLOSE).order_by("-pk").first()
    if close is None or (close.finished_at is None and now - close.requested_at < WAITED_FOR):
        return False
    return make_report(account=account, day=session_of(close.requested_at), now=now) is not None


def session_of(requested_at: datetime) -> date:
    """Return the session whose close a run was asked for: that of its day, or the one before it was made up for."""
    local = requested_at.astimezone(NEW_YORK)
    day = local.date()
    if local.time() >= EARLIEST_CLOSE and day.weekday() < 5:
        return day
    day -= timedelta(days=1)
    while day.weekday() >= 5:
        day -= timedelta(days=1)
    return day
