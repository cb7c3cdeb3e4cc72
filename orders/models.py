"""The record: batches, orders and fills. An order is recorded before it is sent; a fill is never edited."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Cast
from django.urls import reverse

from broker.decimals import ExactDecimalField
from broker.models import Account
from orders import lifecycle
from orders.lifecycle import IN_FLIGHT, TERMINAL_STATUSES, SubmissionState
from orders.querysets import BatchQuerySet, FillQuerySet, OrderQuerySet


class Side(models.TextChoices):
    BUY = "buy", "Buy"
    SELL = "sell", "Sell"


class Batch(models.Model):
    """Orders that were checked as a whole and are executed together."""

    class State(models.TextChoices):
        SCHEDULED = "scheduled", "Scheduled"  # recorded; released at scheduled_for
        RELEASED = "released", "Released"  # its orders may be sent now
        FINISHED = "finished", "Finished"  # every order's sending is settled
        HALTED = "halted", "Halted"  # stopped by a person; its unsent orders were denied

    account = models.ForeignKey(Account, models.PROTECT, related_name="batches")
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=20, help_text="csv, json or code.")
    content_digest = models.CharField(max_length=64, help_text="SHA-256 of the normalised lines.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.SCHEDULED)
    warnings: Any = models.JSONField(default=list)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_index=True)
    scheduled_for = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # The check after execution: the run that made it is noted, so that it is made once.
    reconciled_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the act that recorded it."
    )

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name_plural = "batches"
        indexes = (
            models.Index(fields=["account", "content_digest"]),
            models.Index(fields=["state", "scheduled_for"]),
        )
        permissions = (
            ("submit_batch", "Can record and release batches"),
            ("halt_batch", "Can halt batches"),
        )

    def __str__(self) -> str:
        return f"batch {self.pk} {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("orders:batch", args=[self.pk])


class Order(models.Model):
    """One order, ours or seen at the broker. Never deleted while it is part of the record."""

    class Origin(models.TextChoices):
        BATCH = "batch", "Batch"
        BACKFILL = "backfill", "Backfill"  # copied from Alpaca by an approved fix
        EXTERNAL = "external", "External"  # placed outside this program, adopted into the books
        IMPORT = "import", "Import"  # history that existed before the books were opened
        PROTECTION = "protection", "Protection"  # stop and target of a position, placed after its fill

    account = models.ForeignKey(Account, models.PROTECT, related_name="orders")
    batch = models.ForeignKey(Batch, models.PROTECT, related_name="orders", null=True, blank=True)
    line_number = models.PositiveIntegerField(null=True, blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.BATCH)

    client_order_id = models.CharField(max_length=128)
    broker_order_id = models.CharField(max_length=64, blank=True, default="")

    symbol = models.CharField(max_length=32, db_index=True)
    side = models.CharField(max_length=4, choices=Side.choices)
    order_type = models.CharField(max_length=20, default="market")
    order_class = models.CharField(max_length=20, blank=True, default="")
    time_in_force = models.CharField(max_length=10, default="day")
    qty = ExactDecimalField(null=True, blank=True)
    notional = ExactDecimalField(null=True, blank=True)
    limit_price = ExactDecimalField(null=True, blank=True)
    stop_price = ExactDecimalField(null=True, blank=True)
    trail_price = ExactDecimalField(null=True, blank=True)
    trail_percent = ExactDecimalField(null=True, blank=True)
    extended_hours = models.BooleanField(default=False)
    take_profit_limit_price = ExactDecimalField(null=True, blank=True)
    stop_loss_stop_price = ExactDecimalField(null=True, blank=True)
    stop_loss_limit_price = ExactDecimalField(null=True, blank=True)

    # What we know of our own sending.
    submission_state = models.CharField(
        max_length=12,
        choices=[(s.value, s.label) for s in SubmissionState],
        default=SubmissionState.RECORDED.value,
    )
    recorded_at = models.DateTimeField()
    claimed_by = models.CharField(max_length=100, blank=True, default="")
    claimed_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True, help_text="Not to be sent earlier.")
    send_count = models.PositiveIntegerField(default=0)
    unconfirmed_at = models.DateTimeField(null=True, blank=True)
    lookup_count = models.PositiveIntegerField(default=0, help_text="Look-ups in a row that found nothing.")
    looked_up_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    refusal = models.CharField(
        max_length=500, blank=True, default="", help_text="Why it was denied or rejected, or waits."
    )

    # What Alpaca says, verbatim. updated_at guards against older news overwriting newer.
    status = models.CharField(max_length=30, blank=True, default="")
    filled_qty = ExactDecimalField(default=Decimal(0))
    filled_avg_price = ExactDecimalField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    filled_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    broker_updated_at = models.DateTimeField(null=True, blank=True)
    replaces = models.CharField(max_length=64, blank=True, default="", help_text="broker_order_id of the old one.")
    replaced_by = models.CharField(max_length=64, blank=True, default="", help_text="broker_order_id of the new one.")
    subtag = models.CharField(max_length=100, blank=True, default="")
    raw: Any = models.JSONField(null=True, blank=True)

    # What remains to be asked about it. Sums of exact numbers cannot be asked of SQLite, hence the flag.
    is_booked = models.BooleanField(default=False, help_text="It is terminal and its fills sum up to filled_qty.")
    followed_at = models.DateTimeField(null=True, blank=True, help_text="When its state was last asked for.")
    # Found in the log of every process that had to do with it.
    correlation_id = models.CharField(max_length=64, blank=True, default="", db_default="")

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ("-recorded_at", "-id")
        # Both also answer the search by the beginning of an id. PostgreSQL wants an index of its own to be told so:
        # order_by_client_order_id and order_by_broker_order_id stand there only (migration 0008).
        constraints = (
            models.UniqueConstraint(fields=["account", "client_order_id"], name="order_client_order_id_once"),
            # Orders without one differ in their own id. Not by a condition: SQLite would find nobody by their id in it,
            # and keep a second index of the same random words.
            models.UniqueConstraint(
                "account",
                "broker_order_id",
                Case(When(broker_order_id="", then=F("client_order_id")), default=Value("")),
                name="order_broker_order_id_once",
            ),
            models.CheckConstraint(
                condition=~Q(submission_state="confirmed") | ~Q(broker_order_id=""),
                name="order_confirmed_has_broker_order_id",
            ),
        )
        indexes = (
            models.Index(fields=["submission_state", "not_before"]),
            models.Index(fields=["account", "submitted_at"]),
            models.Index(fields=["account", "-recorded_at", "-id"]),
            models.Index(
                fields=["account", "symbol"],
                condition=~Q(status__in=sorted(TERMINAL_STATUSES)),
                name="order_not_terminal",
            ),
            models.Index(
                fields=["account", "followed_at"],
                condition=Q(submission_state="confirmed", is_booked=False),
                name="order_to_follow",
            ),
            # The chains of a symbol, which are few among its orders.
            models.Index(
                fields=["account", "symbol"], condition=~Q(replaces="", replaced_by=""), name="order_in_chain"
            ),
            # The list: one for each column that it sorts by, each filter among them. The states that stand behind
            # what goes with them spare a walk along the index the look at each row.
            models.Index(
                fields=["account", "symbol", "recorded_at", "id", "status", "submission_state"],
                name="order_by_symbol",
            ),
            models.Index(fields=["account", "side", "recorded_at", "id"], name="order_by_side"),
            models.Index(fields=["account", "order_type", "recorded_at", "id"], name="order_by_type"),
            models.Index(fields=["account", "submission_state", "recorded_at", "id"], name="order_by_state"),
            models.Index(fields=["account", "status", "recorded_at", "id", "submission_state"], name="order_by_status"),
            models.Index(fields=["account", "batch", "id"], name="order_by_batch"),
            models.Index("account", Cast("qty", models.FloatField()), "id", name="order_by_qty"),
            models.Index(
                "account",
                Cast("filled_qty", models.FloatField()),
                "id",
                "status",
                "submission_state",
                name="order_by_filled_qty",
            ),
            models.Index(
                "account",
                Cast("filled_avg_price", models.FloatField()),
                "id",
                "status",
                "submission_state",
                name="order_by_price",
            ),
        )

    def __str__(self) -> str:
        size = self.qty if self.qty is not None else f"${self.notional}"
        return f"{self.side} {size} {self.symbol} {self.client_order_id}"

    def get_absolute_url(self) -> str:
        return reverse("orders:order", args=[self.pk])

    @property
    def is_in_flight(self) -> bool:
        return self.submission_state in IN_FLIGHT

    @property
    def is_working(self) -> bool:
        return lifecycle.is_working(self.submission_state, self.status)

    @property
    def leaves_qty(self) -> Decimal | None:
        return lifecycle.leaves_qty(self.qty, self.filled_qty, self.status)


class Fill(models.Model):
    """One execution, as Alpaca's activity says it. The ledger under every position."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="fills")
    order = models.ForeignKey(Order, models.PROTECT, related_name="fills")
    activity_id = models.CharField(max_length=100)
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4, choices=Side.choices)
    qty = ExactDecimalField()
    price = ExactDecimalField()
    transaction_time = models.DateTimeField()
    recorded_at = models.DateTimeField()
    raw: Any = models.JSONField(null=True, blank=True)

    objects = FillQuerySet.as_manager()

    class Meta:
        ordering = ("transaction_time", "activity_id")
        constraints = (models.UniqueConstraint(fields=["account", "activity_id"], name="fill_activity_id_once"),)
        indexes = (
            models.Index(fields=["account", "symbol", "transaction_time"]),
            # The window of a reading: it costs what it holds, however long the history is.
            models.Index(fields=["account", "transaction_time"], name="fill_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.side} {self.qty} {self.symbol} @ {self.price}"


class OrderEvent(models.Model):
    """One step in an order's life, for its time line. Only ever added."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=30, help_text="recorded, claimed, unconfirmed, confirmed, fill, status …")
    text = models.CharField(max_length=500)
    actor = models.CharField(max_length=150)

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class OrderChange(models.Model):
    """A wish to cancel or replace an order at Alpaca: recorded, then sent once, then confirmed by a look-up.

    The row is committed before anything leaves. An unknown outcome is never answered by sending again; the order at
    Alpaca says what became of it.
    """

    class Action(models.TextChoices):
        CANCEL = "cancel", "Cancel"
        REPLACE = "replace", "Replace"

    class State(models.TextChoices):
        RECORDED = "recorded", "Recorded"
        SENDING = "sending", "Sending"  # claimed by one worker
        UNCONFIRMED = "unconfirmed", "Unconfirmed"  # sent or perhaps sent
        DONE = "done", "Done"  # Alpaca shows it
        REFUSED = "refused", "Refused"  # Alpaca refused it, or the order ended otherwise first

    account = models.ForeignKey(Account, models.PROTECT, related_name="order_changes")
    #: Empty for an order that is not in our books.
    order = models.ForeignKey(Order, models.PROTECT, related_name="changes", null=True, blank=True)
    broker_order_id = models.CharField(max_length=64)
    symbol = models.CharField(max_length=32)
    action = models.CharField(max_length=8, choices=Action.choices)
    wanted: Any = models.JSONField(default=dict, help_text="Of a replacement: the new terms, as strings.")
    client_order_id = models.CharField(max_length=128, blank=True, help_text="Of a replacement: the new order's.")
    state = models.CharField(max_length=12, choices=State.choices, default=State.RECORDED)
    wanted_for = models.CharField(max_length=100, blank=True, help_text="What asked for it: fix:12.")
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    claimed_by = models.CharField(max_length=100, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    looked_up_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.CharField(max_length=64, blank=True, help_text="broker_order_id of the new order.")
    outcome = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("requested_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["account", "broker_order_id"],
                condition=Q(state__in=["recorded", "sending", "unconfirmed"]),
                name="order_change_one_at_a_time",
            ),
        )
        indexes = (models.Index(fields=["state", "looked_up_at"]),)

    def __str__(self) -> str:
        return f"{self.action} {self.broker_order_id}"
