"""The vocabulary for sets of runs, drifts and fixes."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from reconciliation.models import Drift, Fix, Run  # noqa: F401


class RunQuerySet(models.QuerySet["Run"]):
    def finished(self) -> "RunQuerySet":
        return self.exclude(state__in=["queued", "running"])


class DriftQuerySet(models.QuerySet["Drift"]):
    def open(self) -> "DriftQuerySet":
        return self.filter(state="open")

    def roots(self) -> "DriftQuerySet":
        """Causes, not symptoms."""
        return self.filter(cause__isnull=True)


class FixQuerySet(models.QuerySet["Fix"]):
    def proposed(self) -> "FixQuerySet":
        """Those that wait for a person; not those of a difference that somebody decided to ignore."""
        return self.filter(state="proposed").exclude(drifts__state="ignored")

    def awaiting_apply(self) -> "FixQuerySet":
        return self.filter(state="approved")
