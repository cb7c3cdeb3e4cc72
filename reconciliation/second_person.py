"""Undoing where two people are asked for: the first one's wish stands in the fix, the second one's confirms it."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q

#: The database refuses it, whatever wrote the row.
UNDONE_BY_ANOTHER = models.CheckConstraint(
    condition=Q(undo_requested_by="") | Q(undone_by="") | ~Q(undone_by=F("undo_requested_by")),
    name="undo_needs_another_person",
    violation_error_message="Whoever asked for the undoing of a fix may not confirm it, too.",
)


class UndoneByTwo(models.Model):
    """Who asked for the undoing; empty while nobody did, and where one person is enough."""

    undo_requested_at = models.DateTimeField(null=True)
    undo_requested_by = models.CharField(max_length=150, blank=True)

    class Meta:
        abstract = True

    @property
    def undoing_awaits_second_person(self) -> bool:
        undone_at: datetime | None = getattr(self, "undone_at", None)
        return self.undo_requested_by != "" and undone_at is None
