"""What people are told: alerts, the channels they go out by, each message with its outcome, and the daily reports."""

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.urls import reverse

from alerts.kinds import ALERT_KINDS, AlertKind, is_at_least
from alerts.telling import Purpose, Told
from broker.models import Account
from reconciliation.kinds import Severity

SEVERITIES = [(severity.value, severity.value.capitalize()) for severity in Severity]


class Channel(models.Model):
    """A way to people. Its address holds secrets: it is in the environment, under the same name, and never here."""

    name = models.SlugField(max_length=40, unique=True, help_text="As in ALERT_CHANNELS.")
    is_on = models.BooleanField(default=True, help_text="Off: nothing goes out by it.")
    lowest_severity = models.CharField(
        max_length=8, choices=SEVERITIES, default=Severity.MEDIUM.value, help_text="Less grave alerts do not go out."
    )
    muted_kinds: Any = models.JSONField(default=list, blank=True, help_text="Kinds of alerts that do not go out.")
    sends_reports = models.BooleanField(default=True, help_text="The daily report goes out by it.")
    most_an_hour = models.PositiveSmallIntegerField(
        default=20, help_text="What is beyond it in an hour goes out together, as one summary."
    )
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def thing_key(self) -> str:
        """Its name among the things of a condition."""
        return f"channel {self.pk}"

    def takes(self, kind: str, severity: str) -> bool:
        return self.is_on and kind not in self.muted_kinds and is_at_least(severity, self.lowest_severity)


class Alert(models.Model):
    """One trouble, from when it was first seen until it was gone. The same trouble is the same row meanwhile."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Resolved"

    account = models.ForeignKey(Account, models.CASCADE, related_name="alerts", null=True)
    key = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=[(kind.value, facts.title) for kind, facts in ALERT_KINDS.items()])
    severity = models.CharField(max_length=8, choices=SEVERITIES)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    sentence = models.TextField()
    link = models.CharField(max_length=300)
    number = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    # What people have heard: empty until a channel took it.
    told_at = models.DateTimeField(null=True)
    told_severity = models.CharField(max_length=8, blank=True)
    told_number = models.PositiveIntegerField(default=0)
    told_things: Any = models.JSONField(default=list)

    class Meta:
        ordering = ("-first_seen_at", "-id")
        constraints = (models.UniqueConstraint(fields=["key"], condition=Q(state="open"), name="alert_open_once"),)
        indexes = (models.Index(fields=["state", "-first_seen_at"]),)

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"

    @property
    def title(self) -> str:
        return ALERT_KINDS[AlertKind(self.kind)].title

    @property
    def told(self) -> Told:
        return Told(self.told_severity, self.told_number, frozenset(self.told_things))


class DailyReport(models.Model):
    """What happened on an account on one trading day, as it was sent out. Kept as it was."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="daily_reports")
    day = models.DateField()
    made_at = models.DateTimeField()
    facts: Any = models.JSONField(encoder=DjangoJSONEncoder, help_text="The figures, as data.")
    markdown = models.TextField()
    html = models.TextField()

    class Meta:
        ordering = ("-day", "account__slug")
        constraints = (models.UniqueConstraint(fields=["account", "day"], name="daily_report_once"),)

    def __str__(self) -> str:
        return f"report of {self.account_id} for {self.day}"

    def get_absolute_url(self) -> str:
        return reverse("alerts:report", args=[self.pk])


class Delivery(models.Model):
    """One message to one channel: recorded, then sent, then noted. What a kill interrupts is sent once more at most."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Sent"
        HELD = "held", "Held back for a summary"
        SUMMED_UP = "summed_up", "In a summary"
        FAILED = "failed", "Failed"

    channel = models.ForeignKey(Channel, models.PROTECT, related_name="deliveries")
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries", null=True)
    report = models.ForeignKey(DailyReport, models.CASCADE, related_name="deliveries", null=True)
    purpose = models.CharField(max_length=10, choices=[(word.value, word.value) for word in Purpose])
    severity = models.CharField(max_length=8, choices=SEVERITIES, blank=True)
    title = models.CharField(max_length=200)
    body = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField(db_index=True)
    not_before = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    interruptions = models.PositiveSmallIntegerField(default=0, help_text="Ends of its sender without an outcome.")
    claimed_by = models.CharField(max_length=120, blank=True)
    claimed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=300, blank=True, help_text="In words, without anything of the address.")

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name_plural = "deliveries"
        constraints = (
            models.UniqueConstraint(
                fields=["channel", "report"], condition=Q(report__isnull=False), name="delivery_of_report_once"
            ),
        )
        indexes = (
            models.Index(fields=["channel", "state", "not_before"]),
            models.Index(fields=["channel", "created_at"]),
        )

    def __str__(self) -> str:
        return f"{self.purpose} by {self.channel_id}: {self.state}"
