"""Positions: projections of the ledger, and the parameters that give each its stop, target and risk."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse

from broker.decimals import ExactDecimalField
from broker.models import Account
from positions.querysets import PositionQuerySet
from positions.risk import distance


class Adjustment(models.Model):
    """An explicit, signed entry in the ledger that is no fill: an opening balance, a correction, a split.

    The fold reads it together with the fills. `reference` is made from what it records, so the same
    adjustment cannot be booked twice.
    """

    class Kind(models.TextChoices):
        OPENING = "opening", "Opening balance"
        CORRECTION = "correction", "Correction"
        AVERAGE = "average", "Average price"
        SPLIT = "split", "Split"
        TRANSFER = "transfer", "Transfer"

    account = models.ForeignKey(Account, models.PROTECT, related_name="adjustments")
    symbol = models.CharField(max_length=32)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    qty = ExactDecimalField(help_text="Signed: added to the position. 0 for an average price.")
    price = ExactDecimalField(help_text="Dollars a share at which the quantity is booked.")
    ratio = ExactDecimalField(null=True, blank=True, help_text="Of a split: new shares for one old share.")
    effective_at = models.DateTimeField()
    reference = models.CharField(max_length=100)
    reason = models.CharField(max_length=300)
    is_estimated = models.BooleanField(
        default=False, help_text="The price is a stand-in or a guess, and shown as such."
    )
    entered_by = models.CharField(max_length=150, blank=True, help_text="The person whose number the price is.")
    price_at_broker = ExactDecimalField(
        null=True, blank=True, help_text="What Alpaca's average takes it to have cost, where a person entered another."
    )
    recorded_at = models.DateTimeField()
    recorded_by = models.CharField(max_length=150)

    class Meta:
        ordering = ("effective_at", "id")
        constraints = (models.UniqueConstraint(fields=["account", "reference"], name="adjustment_reference_once"),)
        indexes = (
            models.Index(fields=["account", "symbol", "effective_at"]),
            # The few guesses, among openings, splits and transfers.
            models.Index(fields=["account", "symbol"], condition=Q(is_estimated=True), name="adjustment_estimated"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.qty} {self.symbol} @ {self.price}"


class Position(models.Model):
    """One round trip in one symbol, from flat to flat: rebuilt from the ledger, never edited.

    `sequence` numbers the round trips of a symbol. At most one of them is not closed.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"  # an entry order is working, nothing is filled
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    account = models.ForeignKey(Account, models.PROTECT, related_name="positions")
    symbol = models.CharField(max_length=32)
    sequence = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State.choices)
    side = models.CharField(max_length=5, choices=[("long", "Long"), ("short", "Short")])
    qty = ExactDecimalField(help_text="Signed: negative for a short.")
    entry_qty = ExactDecimalField(help_text="Unsigned: all that was ever added in this round trip.")
    avg_entry_price = ExactDecimalField(null=True)
    cost_basis = ExactDecimalField()
    avg_exit_price = ExactDecimalField(null=True)
    realized_pl = ExactDecimalField()
    opened_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    is_estimated = models.BooleanField(default=False, help_text="A price in its ledger is a stand-in or a guess.")
    entered_by = models.TextField(blank=True, help_text="Whose numbers are among its prices.")

    # By the parameters in force when it was opened or last recalculated; a closed one keeps what it had.
    stop_loss = ExactDecimalField(null=True)
    target = ExactDecimalField(null=True)
    risk_per_share = ExactDecimalField(null=True)
    total_risk = ExactDecimalField(null=True)
    stop_loss_pct = ExactDecimalField(null=True)
    target_pct = ExactDecimalField(null=True)
    parameters_from = models.CharField(max_length=100, blank=True, help_text="Which rule gave the percentages.")

    # The broker's last price, as the last complete read had it.
    last_price = ExactDecimalField(null=True)
    last_price_at = models.DateTimeField(null=True)
    rebuilt_at = models.DateTimeField()

    objects = PositionQuerySet.as_manager()

    class Meta:
        ordering = ("symbol", "-sequence")
        constraints = (
            models.UniqueConstraint(fields=["account", "symbol", "sequence"], name="position_sequence_once"),
            models.UniqueConstraint(
                fields=["account", "symbol"], condition=~Q(state="closed"), name="position_one_not_closed"
            ),
        )
        indexes = (
            models.Index(fields=["account", "state"]),
            # The few that do not say at what price they were left, among all that are closed.
            models.Index(fields=["account", "state", "avg_exit_price"], name="position_by_exit"),
        )

    def __str__(self) -> str:
        return f"{self.symbol} #{self.sequence} {self.state}"

    def get_absolute_url(self) -> str:
        return reverse("positions:position", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.state == self.State.OPEN

    @property
    def is_never_filled(self) -> bool:
        """An entry that was given up before anything was bought or sold: closed without ever having been open."""
        return self.state == self.State.CLOSED and self.opened_at is None

    @property
    def exit_qty(self) -> Decimal:
        left: Decimal = self.entry_qty - abs(self.qty)
        return left

    @property
    def market_value(self) -> Decimal | None:
        """Dollars at the last price, negative for a short; None while no price is known."""
        value: Decimal | None = None if self.last_price is None else self.qty * self.last_price
        return value

    @property
    def unrealized_pl(self) -> Decimal | None:
        value: Decimal | None = None if self.market_value is None else self.market_value - self.cost_basis
        return value

    @property
    def unrealized_pl_fraction(self) -> Decimal | None:
        """Profit as a fraction of what the position cost: 0.05 is five percent."""
        if self.unrealized_pl is None or not self.cost_basis:
            return None
        fraction: Decimal = self.unrealized_pl / abs(self.cost_basis)
        return fraction

    @property
    def stop_distance(self) -> Decimal | None:
        """How far the price may still go to the stop, as a fraction of the last price; negative once it is beyond."""
        return self._distance(self.stop_loss, towards_loss=True)

    @property
    def target_distance(self) -> Decimal | None:
        """How far the price has to go to the target, as a fraction of the last price; negative once it is beyond."""
        return self._distance(self.target, towards_loss=False)

    @property
    def initial_risk(self) -> Decimal | None:
        """Dollars that all that was ever entered would have lost at the stop: what a result is measured by."""
        risk: Decimal | None = None if self.risk_per_share is None else self.risk_per_share * self.entry_qty
        return risk

    @property
    def r_multiple(self) -> Decimal | None:
        """The result of a closed round trip in units of its initial risk: -1 is exactly the planned loss."""
        if self.state != self.State.CLOSED or not self.initial_risk:
            return None
        multiple: Decimal = self.realized_pl / self.initial_risk
        return multiple

    @property
    def realized_pl_fraction(self) -> Decimal | None:
        """The result of a closed round trip as a fraction of what was entered: 0.05 is five percent."""
        if self.state != self.State.CLOSED or not self.avg_entry_price or not self.entry_qty:
            return None
        fraction: Decimal = self.realized_pl / (self.avg_entry_price * self.entry_qty)
        return fraction

    @property
    def held_seconds(self) -> int | None:
        """How long a closed round trip lasted."""
        if self.opened_at is None or self.closed_at is None:
            return None
        return int((self.closed_at - self.opened_at).total_seconds())

    def _distance(self, level: Decimal | None, *, towards_loss: bool) -> Decimal | None:
        if level is None or not self.last_price or not self.is_open:
            return None
        return distance(level, is_long=self.side == "long", last_price=self.last_price, towards_loss=towards_loss)


class RiskParameters(models.Model):
    """How far stop and target lie from the entry: the account's default, or one symbol's own."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="risk_parameters")
    symbol = models.CharField(max_length=32, blank=True, help_text="Empty: the default of the account.")
    stop_loss_pct = ExactDecimalField(default="8", help_text="Percent from entry, below a long, above a short.")
    target_pct = ExactDecimalField(default="16", help_text="Percent from entry, above a long, below a short.")
    updated_at = models.DateTimeField(null=True, editable=False, help_text="Empty: as it was built in.")

    class Meta:
        ordering = ("account", "symbol")
        constraints = (models.UniqueConstraint(fields=["account", "symbol"], name="risk_parameters_once"),)
        verbose_name = "stop and target parameters"
        verbose_name_plural = "stop and target parameters"

    def __str__(self) -> str:
        return f"{self.symbol or 'default'} of {self.account}: stop {self.stop_loss_pct} %, target {self.target_pct} %"


class ParameterChange(models.Model):
    """The history of the parameters: who changed what, and what it did to open positions. Only ever added."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="parameter_changes")
    symbol = models.CharField(max_length=32, blank=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    before: Any = models.JSONField(null=True, help_text="Percentages as strings; null: there were none of its own.")
    after: Any = models.JSONField(null=True)
    applied_to_open = models.BooleanField(default=False, help_text="Open positions were recalculated by it.")
    effects: Any = models.JSONField(
        default=list, help_text="Per open position: stop, target and risk before and after."
    )

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.symbol or 'default'}"


class PriceBar(models.Model):
    """One candle of a symbol, copied from Alpaca's market data so that a chart needs nobody's answer."""

    class Timeframe(models.TextChoices):
        HOUR = "1Hour", "1 hour"
        DAY = "1Day", "1 day"

    # The simulator's market is not Alpaca's: bars belong to the account that they were read for.
    account = models.ForeignKey(Account, models.CASCADE, related_name="price_bars")
    symbol = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=5, choices=Timeframe.choices)
    starts_at = models.DateTimeField()
    open = ExactDecimalField()
    high = ExactDecimalField()
    low = ExactDecimalField()
    close = ExactDecimalField()
    volume = ExactDecimalField()

    class Meta:
        ordering = ("starts_at",)
        constraints = (
            models.UniqueConstraint(fields=["account", "symbol", "timeframe", "starts_at"], name="price_bar_once"),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe} {self.starts_at:%Y-%m-%d %H:%M}"


class CashEntry(models.Model):
    """Money that came or went without a fill: a dividend, a fee, a transfer, the balance the books began with.

    Cash is the sum of these and of what the fills paid. Alpaca's own entries carry its activity id; what was booked
    here (the opening balance, a correction with its reason) carries a reference in its place.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="cash_entries")
    activity_id = models.CharField(max_length=100, help_text="Alpaca's id, or our own reference.")
    activity_type = models.CharField(max_length=20, help_text="Alpaca's word (DIV, FEE …), OPENING or CORRECTION.")
    day = models.DateField(help_text="The day it counts for, as Alpaca says.")
    symbol = models.CharField(max_length=32, blank=True)
    net_amount = ExactDecimalField(help_text="Dollars, signed: what it added to the cash.")
    description = models.CharField(max_length=300, blank=True)
    is_estimated = models.BooleanField(default=False, help_text="Inferred, not told by Alpaca.")
    recorded_at = models.DateTimeField()
    recorded_by = models.CharField(max_length=150)
    raw: Any = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ("day", "id")
        constraints = (models.UniqueConstraint(fields=["account", "activity_id"], name="cash_entry_once"),)
        verbose_name_plural = "cash entries"

    def __str__(self) -> str:
        return f"{self.activity_type} {self.net_amount} {self.day}"


class CashTally(models.Model):
    """What the fills up to one of them have paid: a saved subtotal, so that adding up costs what is new.

    It can be thrown away at any time. It counts its fills, so that one that is gone or late is noticed.
    """

    account = models.OneToOneField(Account, models.CASCADE, related_name="cash_tally")
    through_fill = models.PositiveBigIntegerField(help_text="Id of the last fill that is in it.")
    fills = models.PositiveIntegerField()
    net = ExactDecimalField(help_text="Dollars, signed, each fill rounded to cents.")
    uneven = models.PositiveIntegerField(help_text="Fills whose value was no whole number of cents.")

    class Meta:
        verbose_name_plural = "cash tallies"

    def __str__(self) -> str:
        return f"{self.fills} fills of {self.account_id}: {self.net}"


class Crossing(models.Model):
    """The price went through a position's stop or target while no order at Alpaca was there to act on it."""

    class Level(models.TextChoices):
        STOP = "stop", "Stop"
        TARGET = "target", "Target"

    account = models.ForeignKey(Account, models.CASCADE, related_name="crossings")
    position = models.ForeignKey(Position, models.CASCADE, related_name="crossings")
    level = models.CharField(max_length=6, choices=Level.choices)
    level_price = ExactDecimalField(help_text="Where the stop or target was.")
    price = ExactDecimalField(help_text="The price that was seen beyond it first.")
    crossed_at = models.DateTimeField(help_text="When that was seen.")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("-crossed_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=["position", "level", "level_price"], name="crossing_of_a_level_once"),
        )

    def __str__(self) -> str:
        return f"{self.get_level_display()} {self.level_price} crossed at {self.price}"
