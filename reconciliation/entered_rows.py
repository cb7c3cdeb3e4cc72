"""The numbers that people entered where no evidence gives one."""

from django.db import models
from django.db.models import Q

from broker.decimals import ExactDecimalField


class EnteredValue(models.Model):
    """A price that a person entered for a difference. It counts for as long as the difference stands.

    Only ever added; whoever enters another one ends it. Once it is booked, the ledger keeps it.
    """

    drift = models.ForeignKey("reconciliation.Drift", models.CASCADE, related_name="entered_values")
    price = ExactDecimalField(help_text="Dollars a share.")
    reason = models.CharField(max_length=300)
    doubt = models.CharField(max_length=300, blank=True, help_text="What made it look odd when it was entered.")
    entered_by = models.CharField(max_length=150)
    entered_at = models.DateTimeField()
    ended_by = models.CharField(max_length=150, blank=True, help_text="Who entered another one, or withdrew it.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=["drift"], condition=Q(ended_at__isnull=True), name="entered_value_once"),
        )

    def __str__(self) -> str:
        return f"{self.price} by {self.entered_by}"
