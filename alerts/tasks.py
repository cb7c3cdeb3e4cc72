"""What django-q2 runs for this package. Every task may come twice."""

from datetime import date, datetime, timedelta

from django.utils import timezone

from alerts.daily_report import make_report
from broker.models import Account
from broker.times import NEW_YORK
from broker.trading_days import newest_closed
from reconciliation.models import Run

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
    """Return the session whose close a run was asked for: the newest that had closed, half days and holidays known."""
    session = newest_closed(requested_at)
    return session.day if session else requested_at.astimezone(NEW_YORK).date()
