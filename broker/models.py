"""Accounts at the broker, what was last read of them, and the request budget that all processes share."""

from django.db import models

from broker.decimals import ExactDecimalField


class Environment(models.TextChoices):
    SIM = "sim", "SIM"
    PAPER = "paper", "PAPER"
    LIVE = "live", "LIVE"


class ProtectionPlan(models.TextChoices):
    """What stop and target of a position are beyond figures in our books."""

    RECORD_ONLY = "record_only", "Record only: alert when the price crosses"
    BRACKET = "bracket", "Bracket: the entry carries both exits"
    OCO = "oco", "OCO: both exits are placed after the fill"


class AccountQuerySet(models.QuerySet["Account"]):
    def active(self) -> "AccountQuerySet":
        return self.filter(is_active=True)


class Account(models.Model):
    """One brokerage account whose record we keep. Its credentials come from the environment, never from here."""

    slug = models.SlugField(unique=True, help_text="Short name used in commands, files and addresses.")
    name = models.CharField(max_length=100)
    environment = models.CharField(max_length=5, choices=Environment.choices, default=Environment.SIM)
    is_active = models.BooleanField(default=True, help_text="Inactive accounts are neither read nor traded.")
    notice = models.TextField(blank=True, help_text="Shown on every page of this account.")

    # The identity of the ledger: bound at the first read. Alpaca changes both when a paper account is re-made.
    broker_account_id = models.CharField(max_length=64, blank=True, editable=False)
    broker_account_number = models.CharField(max_length=64, blank=True, editable=False)
    bound_at = models.DateTimeField(null=True, blank=True, editable=False)

    sending_halted = models.BooleanField(default=False, help_text="The kill switch: no order leaves while it is on.")
    halted_at = models.DateTimeField(null=True, blank=True, editable=False)
    halted_by = models.CharField(max_length=150, blank=True, editable=False)
    halted_reason = models.CharField(max_length=300, blank=True)

    # Kept by whoever reads the figures: since when that fails, and why. Empty while it succeeds.
    unread_since = models.DateTimeField(null=True, blank=True, editable=False)
    unread_reason = models.CharField(max_length=500, blank=True, editable=False)
    is_silent = models.BooleanField(default=False, editable=False, help_text="No usable answer came at all.")

    max_order_notional = ExactDecimalField(default="50000", help_text="Most dollars in one order.")
    max_batch_notional = ExactDecimalField(default="250000", help_text="Most dollars in one batch, buys only.")
    max_batch_orders = models.PositiveIntegerField(default=200, help_text="Most orders in one batch.")

    protection_plan = models.CharField(
        max_length=12,
        choices=ProtectionPlan.choices,
        default=ProtectionPlan.RECORD_ONLY,
        help_text="How a position's stop and target come to be orders at Alpaca.",
    )
    guard_share_pct = models.PositiveSmallIntegerField(
        default=30,
        help_text="Percent: a plan that closes, voids or changes more of the open positions at once needs a person.",
    )
    #: The newest session whose run at the close was requested. Moved on by conditional UPDATE: one run for each.
    closed_through = models.DateField(null=True, blank=True, editable=False)

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ("slug",)
        permissions = (
            ("halt_sending", "Can stop and resume sending (kill switch)"),
            ("import_history", "Can import an existing account's history"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.get_environment_display()})"

    @property
    def is_bound(self) -> bool:
        return bool(self.broker_account_id)


class AccountSnapshot(models.Model):
    """What Alpaca said about money and the market when it was last read: pages show it while Alpaca is down."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="snapshots")
    read_at = models.DateTimeField(db_index=True)
    equity = ExactDecimalField()
    last_equity = ExactDecimalField()
    cash = ExactDecimalField()
    buying_power = ExactDecimalField()
    long_market_value = ExactDecimalField()
    short_market_value = ExactDecimalField()
    market_is_open = models.BooleanField(null=True)
    next_open = models.DateTimeField(null=True)
    next_close = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-read_at",)
        get_latest_by = "read_at"

    def __str__(self) -> str:
        return f"{self.account_id} at {self.read_at:%Y-%m-%d %H:%M:%S}"


class EquityPoint(models.Model):
    """Equity at the end of a day, from Alpaca's portfolio history: the curve before our own snapshots begin."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="equity_points")
    day = models.DateField()
    equity = ExactDecimalField()

    class Meta:
        ordering = ("day",)
        constraints = (models.UniqueConstraint(fields=["account", "day"], name="equity_point_once"),)

    def __str__(self) -> str:
        return f"{self.account_id} {self.day}: {self.equity}"


class TradingDay(models.Model):
    """One day of Alpaca's calendar. A day without trading has a row, too: one without a row is not known."""

    day = models.DateField(unique=True)
    #: Both empty: no trading.
    open_at = models.DateTimeField(null=True)
    close_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField()

    class Meta:
        ordering = ("day",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(open_at__isnull=True, close_at__isnull=True)
                | models.Q(close_at__gt=models.F("open_at")),
                name="trading_day_open_before_close",
            ),
        )

    def __str__(self) -> str:
        return f"{self.day} {'until ' + format(self.close_at, '%H:%M %Z') if self.close_at else 'without trading'}"


class RequestBudget(models.Model):
    """The requests that may still be made in the current minute, shared by every process of an account.

    Processes take tokens a few at a time by conditional UPDATE; the broker's X-RateLimit headers correct it.
    """

    account = models.OneToOneField(Account, models.CASCADE, related_name="request_budget")
    window_started_at = models.DateTimeField()
    window_ends_at = models.DateTimeField()
    limit = models.PositiveIntegerField(default=200)
    used = models.PositiveIntegerField(default=0)
    blocked_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.used} of {self.limit} until {self.window_ends_at:%H:%M:%S}"


class StreamState(models.Model):
    """How the `trade_updates` connection of an account is doing: kept by the one process that follows it."""

    account = models.OneToOneField(Account, models.CASCADE, related_name="stream_state")
    holder = models.CharField(max_length=120, blank=True, help_text="Host and process that follow it.")
    connected_at = models.DateTimeField(null=True, help_text="Empty while there is no connection.")
    last_heard_at = models.DateTimeField(null=True, help_text="Last frame or pong.")
    last_event_at = models.DateTimeField(null=True)
    #: Since when something may have been missed that no reading has made good yet. Empty: nothing.
    gap_since = models.DateTimeField(null=True)
    gap_reason = models.CharField(max_length=300, blank=True)
    reconnects = models.PositiveIntegerField(default=0)
    events = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"stream of {self.account_id}"
