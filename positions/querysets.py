"""The vocabulary for sets of positions."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from positions.models import Position  # noqa: F401


class PositionQuerySet(models.QuerySet["Position"]):
    def open(self) -> "PositionQuerySet":
        return self.filter(state="open")

    def not_closed(self) -> "PositionQuerySet":
        return self.filter(state__in=("pending", "open"))  # said so, an index knows them

    def closed(self) -> "PositionQuerySet":
        return self.filter(state="closed")

    def never_filled(self) -> "PositionQuerySet":
        return self.filter(state="closed", opened_at__isnull=True)
