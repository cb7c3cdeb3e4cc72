"""Release batches: from then on their orders may be sent."""

import logging
from contextlib import suppress
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from audit import journal
from orders.errors import WrongState
from orders.halting import halt_batch
from orders.models import Batch
from work import correlation

log = logging.getLogger(__name__)
NEW_YORK = ZoneInfo("America/New_York")

#: A batch whose time passed this long ago, because nothing was running, is not sent by itself any more: prices
#: have moved on, and a person must want it anew.
RELEASE_WITHIN = timedelta(hours=1)


def release_batch(*, batch: Batch, actor: str, now: datetime) -> bool:
    """Let the batch's orders be sent; False when it was not waiting for that any more."""
    with transaction.atomic():
        waiting = Batch.objects.filter(pk=batch.pk, state=Batch.State.SCHEDULED)
        if not waiting.update(state=Batch.State.RELEASED, released_at=now):
            return False
        journal.record(
            at=now,
            actor=actor,
            action="batch.released",
            account=batch.account.slug,
            subject_type="batch",
            subject_id=batch.pk,
            summary=f"Released batch {batch.pk}, {batch.name}",
        )
    batch.state, batch.released_at = Batch.State.RELEASED, now
    with correlation.carrying(batch.correlation_id):
        log.info("batch %s released by %s", batch.pk, actor)
    return True


def release_due_batches(*, now: datetime) -> None:
    """Release the batches whose time has come; halt those whose time, or whose release, is long gone."""
    for batch in Batch.objects.due(now).filter(account__is_active=True).select_related("account"):
        planned = batch.scheduled_for or batch.created_at
        if now - planned <= RELEASE_WITHIN:
            release_batch(batch=batch, actor="system:schedule", now=now)
        else:
            reason = f"It was to be released {_new_york(planned)}, but nothing was running."
            _halt(batch, reason, now)
    for batch in Batch.objects.unsent_too_long(now).select_related("account"):
        released_at = batch.released_at or batch.created_at
        _halt(batch, f"It was released {_new_york(released_at)} and could not be sent until now.", now)


def _halt(batch: Batch, reason: str, now: datetime) -> None:
    with suppress(WrongState):  # another process was quicker
        halt_batch(batch=batch, actor="system:schedule", reason=reason, now=now)


def _new_york(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%-d %b %H:%M} New York time"


def next_time(wall_clock: str, *, now: datetime) -> datetime:
    """Return the next moment at which clocks in New York show this time of day ("08:00")."""
    at = time.fromisoformat(wall_clock)
    today = now.astimezone(NEW_YORK).date()
    planned = datetime.combine(today, at, tzinfo=NEW_YORK)
    if planned <= now:
        planned = datetime.combine(today + timedelta(days=1), at, tzinfo=NEW_YORK)
    return planned
