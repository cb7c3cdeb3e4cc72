"""Who did what, when, why, and what it changed. Rows are only ever added."""

from typing import Any

from django.db import models


class AuditEntry(models.Model):
    """One act. It is written in the transaction of the act itself, so neither exists without the other."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=150, help_text="A user's name, or system:<task>.")
    action = models.CharField(max_length=60, db_index=True, help_text="Dotted, past tense: fix.applied.")
    account = models.SlugField(blank=True, db_index=True)
    subject_type = models.CharField(max_length=40, blank=True)
    subject_id = models.CharField(max_length=64, blank=True)
    summary = models.CharField(max_length=500)
    reason = models.TextField(blank=True)
    before: Any = models.JSONField(null=True)
    after: Any = models.JSONField(null=True)

    class Meta:
        ordering = ("-at", "-id")
        indexes = (models.Index(fields=["subject_type", "subject_id"]),)
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action}"
