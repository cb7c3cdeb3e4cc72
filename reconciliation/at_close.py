"""The day's run at the close: requested once for every session and account, by the stored calendar.

Asked every few minutes. A close that passed while nothing ran is made up at the next look, once, and only the newest
session: the run judges what is there now, so an older one would show the same.
"""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django_q.models import Schedule

from broker.errors import BrokerError
from broker.models import Account
from broker.trading_days import Session, newest_closed, next_to_close, refresh_trading_days
from reconciliation.models import Run
from reconciliation.running import request_run

FUNCTION = "reconciliation.tasks.reconcile_at_close"

logger = logging.getLogger(__name__)


def request_close_runs(*, now: datetime) -> int:
    """Request the run of the newest session that has closed, where it was not requested yet. Return how many."""
    session = newest_closed(now)
    if session is None:
        return 0
    behind = Account.objects.active().filter(_is_behind(session))
    return sum(_request(account, session, now) for account in behind)


def next_close_run(account: Account, now: datetime) -> datetime | None:
    """Return when the next run at the close is due, which is past if it was missed; None if none is arranged."""
    if not Schedule.objects.filter(func=FUNCTION).exists():
        return None
    closed, coming = newest_closed(now), next_to_close(now)
    if closed is not None and _misses(account, closed):
        return closed.close_at
    return coming.close_at if coming else None


def learn_calendar(*, now: datetime) -> str:
    """Ask Alpaca if today's calendar is not in the rows; return a sentence if it remains unknown. No transaction."""
    if not _is_unknown(now):
        return ""
    try:
        refresh_trading_days(now=now)
    except BrokerError as error:
        sentence = f"The trading calendar is not known, so weekdays count, and 16:00 in New York as the close. {error}"
        logger.warning(sentence)
        return sentence
    return ""


def _is_unknown(now: datetime) -> bool:
    return any(session is not None and session.is_assumed for session in (newest_closed(now), next_to_close(now)))


def _is_behind(session: Session) -> Q:
    return Q(closed_through__isnull=True) | Q(closed_through__lt=session.day)


def _request(account: Account, session: Session, now: datetime) -> bool:
    """Whoever moves the account's date on requests the run, in the same transaction: two at once make one."""
    is_missed = _misses(account, session)
    with transaction.atomic():
        mine = Account.objects.filter(_is_behind(session), pk=account.pk, is_active=True)
        if not mine.update(closed_through=session.day) or not is_missed:
            return False
        run = request_run(account=account, trigger=Run.Trigger.CLOSE, requested_by=_reason(session), now=now)
    logger.info("run %s of %s requested for the close of %s", run.pk, account.slug, session.day)
    return True


def _misses(account: Account, session: Session) -> bool:
    """What closed before the account's books began needs no check."""
    if account.closed_through is None:
        return account.bound_at is not None and account.bound_at <= session.close_at
    return account.closed_through < session.day


def _reason(session: Session) -> str:
    unknown = ", calendar not known: the usual hours" if session.is_assumed else ""
    return f"system:close of {session.day}{unknown}"
