"""Who did what, when, why, and what it changed. Rows are only ever added: the database itself refuses the rest."""

from typing import Any

from django.db import models, transaction

from audit.digests import content_digest


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
    correlation_id = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="The same in every log line of the act."
    )
    digest = models.CharField(max_length=64, editable=False, help_text="SHA-256 of what the entry says.")

    class Meta:
        ordering = ("-at", "-id")
        indexes = (models.Index(fields=["subject_type", "subject_id"]),)
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it as the next in the chain."""
        from audit.chain import link

        self.digest = content_digest(self)
        with transaction.atomic(savepoint=False):
            super().save(*args, **kwargs)
            link(self)


class AuditLink(models.Model):
    """An entry's place in the chain. Its digest stands for the entry and for all before it."""

    sequence = models.PositiveBigIntegerField(primary_key=True, help_text="1, 2, 3 … without gaps.")
    entry = models.OneToOneField(AuditEntry, on_delete=models.PROTECT, related_name="link")
    previous = models.CharField(max_length=64, help_text="The digest before it.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the digest before it and what the entry says.")

    class Meta:
        ordering = ("sequence",)

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest}"
