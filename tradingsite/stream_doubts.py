"""What the stream tells and bookkeeping cannot take in is looked into by a reconciliation, soon and not too often."""

import logging
from datetime import datetime, timedelta

from broker.models import Account
from reconciliation.models import Run
from reconciliation.running import request_run

ACTOR = "system:stream"
#: A person who trades in the app all morning starts a run a minute, not one for each order.
AT_MOST_EVERY = timedelta(seconds=60)

log = logging.getLogger(__name__)


def look_into(*, account: Account, doubt: str, now: datetime) -> bool:
    """Request a run, unless one is waiting already; False when the last one for such a doubt was too lately."""
    runs = Run.objects.filter(account=account)
    if runs.filter(state=Run.State.QUEUED).exists():
        return True
    if runs.filter(requested_by=ACTOR, requested_at__gt=now - AT_MOST_EVERY, requested_at__lte=now).exists():
        return False
    log.info("a reconciliation of %s is requested: %s", account.slug, doubt)
    request_run(account=account, trigger=Run.Trigger.DEMAND, requested_by=ACTOR, now=now)
    return True
