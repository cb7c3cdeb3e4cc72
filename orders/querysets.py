"""The vocabulary for sets of orders, fills and batches."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders.chain_models import may_leave
from orders.lifecycle import IN_FLIGHT, TERMINAL_STATUSES, SubmissionState
from work.statements import Moment

if TYPE_CHECKING:
    from orders.models import Batch, Fill, Order  # noqa: F401


#: No appointment is made further ahead than this: a later one was written while the clock was wrong.
LONGEST_APPOINTMENT = timedelta(minutes=5)
#: What was released this long ago and could not be sent is not sent by itself any more: prices have moved on.
SEND_WITHIN = timedelta(hours=12)


def due_for_sending(now: Moment) -> Q:
    """Orders whose waiting time, if any, is over."""
    never_set = Q(not_before__isnull=True)
    return never_set | Q(not_before__lte=now) | Q(not_before__gt=now + LONGEST_APPOINTMENT)


def unbatched(now: Moment) -> Q:
    """Protective orders, which come in no batch: wanted lately enough."""
    return Q(batch__isnull=True, origin="protection", recorded_at__gt=now - SEND_WITHIN)


class OrderQuerySet(models.QuerySet["Order"]):
    def in_flight(self) -> "OrderQuerySet":
        """Recorded or perhaps sent, outcome not known yet."""
        return self.filter(submission_state__in=IN_FLIGHT)

    def working(self) -> "OrderQuerySet":
        """Can still fill: in flight, or at Alpaca and not terminal."""
        at_broker = Q(submission_state=SubmissionState.CONFIRMED) & ~Q(status__in=TERMINAL_STATUSES)
        return self.filter(Q(submission_state__in=IN_FLIGHT) | at_broker)

    def not_terminal_at_broker(self) -> "OrderQuerySet":
        return self.filter(submission_state=SubmissionState.CONFIRMED).exclude(status__in=TERMINAL_STATUSES)

    def sendable(self, now: datetime) -> "OrderQuerySet":
        """Recorded orders of released batches whose waiting time, if any, is over."""
        return self.filter(
            due_for_sending(now),
            may_leave(now),
            Q(batch__released_at__isnull=True) | Q(batch__released_at__gt=now - SEND_WITHIN),
            submission_state=SubmissionState.RECORDED,
            batch__state="released",
            account__is_active=True,
            account__sending_halted=False,
        )

    def protective_to_send(self, now: datetime) -> "OrderQuerySet":
        """Recorded stops and targets of positions whose waiting time, if any, is over."""
        return self.filter(
            due_for_sending(now),
            may_leave(now),
            unbatched(now),
            submission_state=SubmissionState.RECORDED,
            account__is_active=True,
            account__sending_halted=False,
        )

    def protective_unsent_too_long(self, now: datetime) -> "OrderQuerySet":
        unsent = self.filter(batch__isnull=True, origin="protection", submission_state=SubmissionState.RECORDED)
        return unsent.filter(recorded_at__lte=now - SEND_WITHIN)

    def submitting(self) -> "OrderQuerySet":
        """Claimed: a POST may be under way."""
        return self.filter(submission_state=SubmissionState.SUBMITTING)

    def unconfirmed(self) -> "OrderQuerySet":
        return self.filter(submission_state=SubmissionState.UNCONFIRMED)

    def to_follow(self, now: datetime, *, is_streamed: bool = False) -> "OrderQuerySet":
        """Of those that are followed, the ones whose state was last asked for long enough ago.

        The older an order is, the seldomer it is asked for; and all of them seldomer while a stream tells of them.
        """
        young, old = now - timedelta(minutes=2), now - timedelta(hours=1)
        ages = (
            (Q(confirmed_at__gte=young), timedelta(seconds=settings.STREAMED_LOOK_SECONDS if is_streamed else 2)),
            (Q(confirmed_at__gte=old, confirmed_at__lt=young), timedelta(seconds=60 if is_streamed else 30)),
            (Q(confirmed_at__lt=old) | Q(confirmed_at__isnull=True), timedelta(minutes=5)),
        )
        due = Q(followed_at__isnull=True) | Q(followed_at__gt=now + LONGEST_APPOINTMENT)
        for age, pause in ages:
            due |= age & Q(followed_at__lte=now - pause)
        return self.followed(now).filter(due)

    def followed(self, now: datetime) -> "OrderQuerySet":
        """Known at Alpaca and not booked to their end.

        What ended long ago without its fills summing up is left to reconciliation; so is the history from before the
        books, whose fills are still being imported.
        """
        alive = ~Q(status__in=TERMINAL_STATUSES)
        lately = Q(confirmed_at__gte=now - timedelta(days=1)) | Q(broker_updated_at__gte=now - timedelta(days=1))
        just_ended = Q(lately, status__in=TERMINAL_STATUSES, origin__in=("batch", "protection"))
        return self.filter(alive | just_ended, submission_state=SubmissionState.CONFIRMED, is_booked=False)


class FillQuerySet(models.QuerySet["Fill"]):
    def in_ledger_order(self) -> "FillQuerySet":
        return self.order_by("transaction_time", "activity_id")


class BatchQuerySet(models.QuerySet["Batch"]):
    def due(self, now: datetime) -> "BatchQuerySet":
        """Scheduled batches whose time has come."""
        return self.filter(state="scheduled").filter(Q(scheduled_for__isnull=True) | Q(scheduled_for__lte=now))

    def sending(self, now: Moment) -> "BatchQuerySet":
        """Released, and lately enough."""
        fresh = Q(released_at__isnull=True) | Q(released_at__gt=now - SEND_WITHIN)
        return self.filter(fresh, state="released")

    def unsent_too_long(self, now: datetime) -> "BatchQuerySet":
        old = self.filter(state="released", released_at__lte=now - SEND_WITHIN)
        return old.filter(orders__submission_state=SubmissionState.RECORDED).distinct()

    def halted_with_waiting_orders(self) -> "BatchQuerySet":
        """An order was under way when its batch was halted, and came back unsent."""
        return self.filter(state="halted", orders__submission_state=SubmissionState.RECORDED).distinct()

    def awaiting_reconciliation(self, now: datetime, *, delay: timedelta) -> "BatchQuerySet":
        """Over, be it finished or halted half-way, and not checked since."""
        over = self.filter(state__in=("finished", "halted"))
        return over.filter(reconciled_at__isnull=True, finished_at__lte=now - delay)

    def repeating(self, account_id: int, digest: str, now: datetime) -> "BatchQuerySet":
        """Batches of the same orders within the last day, but for those of which nothing was or will be placed."""
        lately = self.filter(account_id=account_id, content_digest=digest, created_at__gt=now - timedelta(days=1))
        placed_or_waiting = set(SubmissionState) - {SubmissionState.DENIED, SubmissionState.REJECTED}
        placed = lately.filter(state__in=("halted", "finished"), orders__submission_state__in=placed_or_waiting)
        return lately.filter(~Q(state__in=("halted", "finished")) | Q(pk__in=placed.values("pk")))
