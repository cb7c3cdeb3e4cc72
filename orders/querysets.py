"""The vocabulary for sets of orders, fills and batches."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from orders.lifecycle import IN_FLIGHT, TERMINAL_STATUSES, SubmissionState

if TYPE_CHECKING:
    from orders.models import Batch, Fill, Order  # noqa: F401


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
        due = Q(not_before__isnull=True) | Q(not_before__lte=now)
        return self.filter(
            due,
            submission_state=SubmissionState.RECORDED,
            batch__state="released",
            account__is_active=True,
            account__sending_halted=False,
        )

    def abandoned_claims(self, now: datetime, *, lease: timedelta) -> "OrderQuerySet":
        """Claimed by a worker that has not answered for longer than any POST may take."""
        return self.filter(submission_state=SubmissionState.SUBMITTING, claimed_at__lt=now - lease)

    def unconfirmed(self) -> "OrderQuerySet":
        return self.filter(submission_state=SubmissionState.UNCONFIRMED)


class FillQuerySet(models.QuerySet["Fill"]):
    def in_ledger_order(self) -> "FillQuerySet":
        return self.order_by("transaction_time", "activity_id")


class BatchQuerySet(models.QuerySet["Batch"]):
    def due(self, now: datetime) -> "BatchQuerySet":
        """Scheduled batches whose time has come."""
        return self.filter(state="scheduled").filter(Q(scheduled_for__isnull=True) | Q(scheduled_for__lte=now))

    def awaiting_reconciliation(self, now: datetime, *, delay: timedelta) -> "BatchQuerySet":
        return self.filter(state="finished", reconciled_at__isnull=True, finished_at__lte=now - delay)
