"""The row of an order that leaves only after others were cancelled: how far that is, and what was seen at its start."""

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q

from work.statements import Moment

#: The cancels must be proven, and the order claimed after that, within so long.
PATIENCE = timedelta(seconds=30)


class CancelFirst(models.Model):
    """Cancel what holds the shares of a position; when that is proven at Alpaca, the order may be sent.

    A state only ever goes on, to PROVEN or GIVEN_UP. With GIVEN_UP the order is denied in the same transaction.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"  # nothing was asked of Alpaca; the position is guarded as it was
        CANCELLING = "cancelling", "Cancelling"  # the cancels are recorded
        PROVEN = "proven", "Proven"  # all are terminal at Alpaca and nothing was filled
        GIVEN_UP = "given_up", "Given up"  # the order is not sent

    order = models.OneToOneField("orders.Order", models.CASCADE, related_name="cancel_first")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING, db_index=True)
    looked_at = models.DateTimeField(null=True, blank=True, help_text="When its beginning was last tried.")
    began_at = models.DateTimeField(null=True, blank=True)
    proven_at = models.DateTimeField(null=True, blank=True)
    cancels: Any = models.JSONField(
        default=list, help_text="Open exits at the start: id, filled, asked (whether its cancel was wanted)."
    )
    held = models.CharField(max_length=40, blank=True, help_text="Shares at Alpaca at the start, signed.")
    stop_again = models.CharField(
        max_length=40, blank=True, help_text="Level of the stop to be placed again if the order is not taken."
    )
    outcome = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"cancel first, for order {self.order_id}: {self.state}"


def is_fresh(name: str, now: Moment) -> Q:
    """The moment lies less than PATIENCE ago; one in times to come was noted while the clock was wrong."""
    return Q(**{f"{name}__gt": now - PATIENCE, f"{name}__lte": now + PATIENCE})


def may_leave(now: Moment) -> Q:
    """Orders that wait for no cancels, or whose cancels were proven a moment ago. A proof grows old: what held no
    share then may hold some now."""
    proven = Q(is_fresh("proven_at", now), state=CancelFirst.State.PROVEN)
    return Q(~Exists(CancelFirst.objects.filter(~proven, order=OuterRef("pk"))))
