"""Runs, the drift they found, and the fixes that repair it."""

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from broker.decimals import ExactDecimalField
from broker.models import Account
from reconciliation.entered_rows import EnteredValue  # noqa: F401  # Django looks for models here
from reconciliation.kinds import KINDS, Kind, Severity
from reconciliation.querysets import DriftQuerySet, FixQuerySet, RunQuerySet
from reconciliation.second_person import UNDONE_BY_ANOTHER, UndoneByTwo


class Run(models.Model):
    """One reconciliation: what was read, how completely, and the verdict."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        IN_SYNC = "in_sync", "In sync"
        DRIFT = "drift", "Drift"
        INCOMPLETE = "incomplete", "Incomplete"

    class Trigger(models.TextChoices):
        DEMAND = "demand", "On demand"
        BATCH = "batch", "After a batch"
        CLOSE = "close", "At the close"
        APPROVAL = "approval", "Before applying fixes"
        VERIFICATION = "verification", "After applying fixes"
        IMPORT = "import", "First import"

    account = models.ForeignKey(Account, models.PROTECT, related_name="runs")
    trigger = models.CharField(max_length=12, choices=Trigger.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    is_full = models.BooleanField(default=False)
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    correlation_id = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the act that asked for it."
    )
    started_at = models.DateTimeField(null=True, db_index=True)
    finished_at = models.DateTimeField(null=True)
    api_calls = models.PositiveIntegerField(default=0)
    incomplete_reason = models.TextField(blank=True)
    progress: Any = models.JSONField(default=dict, help_text="Pages and rows read so far, for people who wait.")
    completeness: Any = models.JSONField(default=dict, help_text="What was read: pages, rows, cursors, times.")

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=["account", "-id"]),)
        permissions = (("start_run", "Can start a reconciliation"),)

    def __str__(self) -> str:
        return f"run {self.pk} {self.state}"

    def get_absolute_url(self) -> str:
        return reverse("reconciliation:run", args=[self.pk])


class Fix(UndoneByTwo):
    """A proposed repair, shown before it is done, done as shown, checked after.

    `key` names what it repairs, the same in every run; `fingerprint` is the digest of both sides as they were
    shown. At most one fix a key is not ended.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        APPROVED = "approved", "Approved"  # by a person; not applied yet
        APPLIED = "applied", "Applied"  # committed; not verified yet
        VERIFIED = "verified", "Verified"  # a fresh read agrees
        FAILED = "failed", "Not verified"  # applied, but a fresh read disagrees
        STALE = "stale", "Stale"  # something moved since it was shown: void
        WITHDRAWN = "withdrawn", "Withdrawn"  # the drift went away by itself
        UNDONE = "undone", "Undone"

    LIVE_STATES = ("proposed", "approved", "applied")

    account = models.ForeignKey(Account, models.PROTECT, related_name="fixes")
    run = models.ForeignKey(Run, models.PROTECT, related_name="fixes", help_text="The run that proposed it.")
    key = models.CharField(max_length=200)
    action = models.CharField(max_length=30)
    is_safe_copy = models.BooleanField(help_text="Copies a broker fact; guesses nothing.")
    acts_at_broker = models.BooleanField(default=False, help_text="Sends, changes or cancels an order at the broker.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    symbol = models.CharField(max_length=32, blank=True)
    title = models.CharField(max_length=300)
    fingerprint = models.CharField(max_length=64)
    plan: Any = models.JSONField(encoder=DjangoJSONEncoder, help_text="The writes, as data.")
    before: Any = models.JSONField(encoder=DjangoJSONEncoder, help_text="What the database says now.")
    broker: Any = models.JSONField(encoder=DjangoJSONEncoder, help_text="What Alpaca says.")
    after: Any = models.JSONField(encoder=DjangoJSONEncoder, help_text="What the database will say.")
    undo_plan: Any = models.JSONField(null=True)

    proposed_at = models.DateTimeField()
    approved_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=150, blank=True)
    correlation_id = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the act that approved it."
    )
    # Where two people are asked for, the first requests and the second, another one, approves.
    requested_at = models.DateTimeField(null=True)
    requested_by = models.CharField(max_length=150, blank=True)
    override_reason = models.CharField(
        max_length=300, blank=True, help_text="Why a person let it go beyond the wipe-out guard or a barred time."
    )
    applied_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    verification_run = models.ForeignKey(Run, models.PROTECT, related_name="verified_fixes", null=True)
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=150, blank=True)
    outcome = models.CharField(max_length=500, blank=True, help_text="Why it is stale, failed or withdrawn.")

    objects = FixQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=["account", "key"],
                condition=Q(state__in=["proposed", "approved", "applied"]),
                name="fix_live_once",
            ),
            models.CheckConstraint(
                condition=Q(requested_by="") | Q(approved_by="") | ~Q(approved_by=F("requested_by")),
                name="fix_needs_another_person",
                violation_error_message="Whoever requested a fix may not approve it, too.",
            ),
            UNDONE_BY_ANOTHER,
        )
        verbose_name_plural = "fixes"
        permissions = (
            ("approve_fix", "Can approve and undo backfills"),
            ("approve_broker_fix", "Can approve fixes that act at the broker"),
        )

    def __str__(self) -> str:
        return f"fix {self.pk} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("reconciliation:fix", args=[self.pk])

    @property
    def awaits_second_person(self) -> bool:
        """One person has requested it; another one must approve it."""
        return self.state == self.State.PROPOSED and self.requested_by != ""


class Drift(models.Model):
    """One difference between database and broker, of a named kind. The same difference is the same row in every run."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        RESOLVED = "resolved", "Resolved"
        IGNORED = "ignored", "Ignored"

    account = models.ForeignKey(Account, models.PROTECT, related_name="drifts")
    key = models.CharField(max_length=200, help_text="Kind and natural key: what makes two sightings the same.")
    kind = models.CharField(max_length=40, choices=[(kind.value, facts.title) for kind, facts in KINDS.items()])
    group = models.CharField(max_length=20)
    severity = models.CharField(max_length=8)
    symbol = models.CharField(max_length=32, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    sentence = models.CharField(max_length=500, help_text="What happened, in words.")
    dollars = ExactDecimalField(null=True, help_text="Dollars touched.")
    local: Any = models.JSONField(encoder=DjangoJSONEncoder)
    broker: Any = models.JSONField(encoder=DjangoJSONEncoder)
    evidence: Any = models.JSONField(
        encoder=DjangoJSONEncoder, default=dict, help_text="Ids and raw JSON behind the claim."
    )
    # A broker order that is not settled here holds the reading cursor back, so that it is read again.
    holds_cursor_at = models.DateTimeField(null=True)
    cause = models.ForeignKey("self", models.SET_NULL, related_name="consequences", null=True)
    fix = models.ForeignKey(Fix, models.SET_NULL, related_name="drifts", null=True)
    first_run = models.ForeignKey(Run, models.PROTECT, related_name="first_seen_drifts")
    last_run = models.ForeignKey(Run, models.PROTECT, related_name="drifts")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    flaps = models.PositiveSmallIntegerField(default=0, help_text="How often it went and came again within a day.")

    ignored_by = models.CharField(max_length=150, blank=True)
    ignored_until = models.DateTimeField(null=True)
    ignored_reason = models.CharField(max_length=300, blank=True)
    ignored_by_rule = models.ForeignKey("IgnoreRule", models.PROTECT, related_name="drifts", null=True, blank=True)
    assigned_to = models.CharField(max_length=150, blank=True, help_text="Username of who looks after it.")

    objects = DriftQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=["account", "key"], condition=Q(state__in=["open", "ignored"]), name="drift_live_once"
            ),
        )
        indexes = (
            models.Index(fields=["account", "state"]),
            # What a run showed, and what it resolved: asked for each line of the list of runs.
            models.Index(fields=["account", "last_seen_at"]),
            models.Index(fields=["account", "resolved_at"]),
        )
        permissions = (("ignore_drift", "Can ignore drift"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.symbol}"

    @property
    def title(self) -> str:
        return KINDS[Kind(self.kind)].title

    @property
    def is_grave(self) -> bool:
        return self.severity in {Severity.CRITICAL, Severity.HIGH}


class DriftComment(models.Model):
    """What a person wrote beside a difference. Only ever added."""

    drift = models.ForeignKey(Drift, models.CASCADE, related_name="comments")
    at = models.DateTimeField()
    author = models.CharField(max_length=150)
    text = models.CharField(max_length=1000)

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.author}: {self.text[:60]}"


class RunSnapshot(models.Model):
    """Both sides as a complete run saw them, kept so that the picture can be looked at again later."""

    run = models.OneToOneField(Run, models.CASCADE, related_name="snapshot")
    taken_at = models.DateTimeField(db_index=True, help_text="When reading began.")
    local: Any = models.JSONField(encoder=DjangoJSONEncoder, help_text="What the database said.")
    broker: Any = models.JSONField(encoder=DjangoJSONEncoder, help_text="What Alpaca said.")

    def __str__(self) -> str:
        return f"snapshot of run {self.run_id}"


class BackfillPolicy(models.Model):
    """What becomes of a safe copy of one kind in one account without a person asking: propose, or apply."""

    class Mode(models.TextChoices):
        PROPOSE = "propose", "Propose: a person approves"
        AUTOMATIC = "automatic", "Automatic: apply at once"
        TWO_PEOPLE = "two_people", "Two people: one requests, another approves"

    account = models.ForeignKey(Account, models.CASCADE, related_name="backfill_policies")
    kind = models.CharField(
        max_length=40,
        blank=True,
        choices=[(kind.value, facts.title) for kind, facts in KINDS.items()],
        help_text="Empty: every kind that has no policy of its own.",
    )
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.PROPOSE)
    max_dollars = ExactDecimalField(
        null=True, blank=True, help_text="Automatic up to this many dollars touched; empty: no limit."
    )
    not_before_close_minutes = models.PositiveSmallIntegerField(
        default=10, help_text="Nothing is applied by itself in the last minutes before the close; 0: always."
    )
    window_from = models.TimeField(null=True, blank=True, help_text="New York time; empty: from the day's beginning.")
    window_until = models.TimeField(null=True, blank=True, help_text="New York time; empty: to the day's end.")
    updated_at = models.DateTimeField(editable=False)
    updated_by = models.CharField(max_length=150, editable=False)

    class Meta:
        ordering = ("account", "kind")
        constraints = (models.UniqueConstraint(fields=["account", "kind"], name="backfill_policy_once"),)
        verbose_name_plural = "backfill policies"

    def __str__(self) -> str:
        return f"{self.account}: {self.get_kind_display() or 'every kind'}: {self.get_mode_display()}"


class IgnoreRule(models.Model):
    """Differences that nobody wants to see for a time. It never hides one that is critical.

    It is ended, not deleted, once it has hidden something: the drifts point to it.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="ignore_rules")
    kind = models.CharField(max_length=40, choices=[(kind.value, facts.title) for kind, facts in KINDS.items()])
    symbol = models.CharField(max_length=32, blank=True, help_text="Empty: every symbol.")
    reason = models.CharField(max_length=300)
    owner = models.CharField(max_length=150, editable=False, help_text="Who made it.")
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(help_text="Everything it hid is open again after this.")
    hidden_count = models.PositiveIntegerField(default=0, editable=False, help_text="Differences it has hidden so far.")

    class Meta:
        ordering = ("account", "kind", "symbol")

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.symbol or 'every symbol'} until {self.expires_at:%Y-%m-%d}"


class ReadingCursor(models.Model):
    """How far an account's history was read, so that a run's cost follows what changed and a stopped import goes on."""

    account = models.OneToOneField(Account, models.CASCADE, related_name="reading_cursor")
    orders_read_to = models.DateTimeField(null=True, help_text="submitted_at up to which every order is known.")
    activities_read_to = models.DateTimeField(null=True)
    # The first import walks page by page and keeps its place.
    import_finished_at = models.DateTimeField(null=True)
    import_stage = models.CharField(max_length=12, blank=True, help_text="orders, activities, positions or empty.")
    import_cursor = models.CharField(max_length=100, blank=True)
    import_rows = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.account_id}: orders to {self.orders_read_to}"
