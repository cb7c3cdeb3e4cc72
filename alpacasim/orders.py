"""One order: its states, its numbers, and its JSON."""

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .numbers import ZERO, plain, plain_or_none
from .times import Nanos, format_instant, parse_instant

TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")
CLASSES = ("", "simple", "bracket", "oco", "oto", "mleg")

TERMINAL = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
# A held leg is neither open nor closed: Alpaca lists it under `all` only.
OPEN = frozenset(
    {
        "new", "partially_filled", "accepted", "pending_new", "pending_cancel", "pending_replace",
        "accepted_for_bidding", "stopped", "suspended", "calculated", "done_for_day",
    }
)  # fmt: skip
WORKING = frozenset({"new", "partially_filled"})

_INSTANTS = (
    "created_at", "updated_at", "submitted_at", "filled_at", "canceled_at", "expired_at", "failed_at",
    "replaced_at", "expires_at",
)  # fmt: skip
_DECIMALS = (
    "qty", "notional", "filled_qty", "filled_avg_price", "limit_price", "stop_price", "trail_price",
    "trail_percent", "hwm",
)  # fmt: skip
_WORDS = (
    "id", "client_order_id", "asset_id", "asset_class", "symbol", "type", "side", "time_in_force",
    "order_class", "status", "extended_hours", "position_intent", "source", "subtag", "replaces", "replaced_by",
)  # fmt: skip
_GROUP = ("group_id", "group_role")
# Kept in saved state only; Alpaca's order object has none of them.
_INTERNAL = ("seq", "parent_id", "leg_ids", "triggered")


@dataclass(slots=True, kw_only=True)
class Order:
    symbol: str
    asset_id: str
    asset_class: str
    side: str
    type: str
    time_in_force: str
    created_at: Nanos
    updated_at: Nanos
    submitted_at: Nanos
    expires_at: Nanos
    seq: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    client_order_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "pending_new"
    order_class: str = ""
    qty: Decimal | None = None
    notional: Decimal | None = None
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    extended_hours: bool = False
    position_intent: str = ""
    source: str | None = None
    subtag: str | None = None
    filled_at: Nanos | None = None
    canceled_at: Nanos | None = None
    expired_at: Nanos | None = None
    failed_at: Nanos | None = None
    replaced_at: Nanos | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    group_id: str | None = None
    group_role: str | None = None
    parent_id: str | None = None
    leg_ids: list[str] = field(default_factory=list)
    triggered: bool = False

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def is_working(self) -> bool:
        return self.status in WORKING

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    @property
    def sort_key(self) -> tuple[Nanos, int]:
        return (self.submitted_at, self.seq)

    def leaves_qty(self, price: Decimal) -> Decimal:
        """What is still to be traded; a notional order's shares follow from the price."""
        if self.is_terminal:
            return ZERO
        if self.qty is not None:
            return self.qty - self.filled_qty
        spent = self.filled_qty * (self.filled_avg_price or ZERO)
        return (((self.notional or ZERO) - spent) / price).quantize(Decimal("1e-9"), rounding="ROUND_DOWN")

    def to_json(self, legs: list["Order"] | None = None) -> dict[str, Any]:
        """The order as the API gives it, keys in alphabetical order."""
        document: dict[str, Any] = {name: getattr(self, name) for name in _WORDS}
        document["order_type"] = self.type
        for name in _INSTANTS:
            instant = getattr(self, name)
            document[name] = None if instant is None else format_instant(instant)
        for name in _DECIMALS:
            document[name] = plain_or_none(getattr(self, name))
        document["legs"] = [leg.to_json() for leg in legs] if legs else None
        if self.group_id is not None:
            document |= {name: getattr(self, name) for name in _GROUP}
        return dict(sorted(document.items()))

    def to_state(self) -> dict[str, Any]:
        """The order with everything that is needed to load it again."""
        document = self.to_json() | {name: getattr(self, name) for name in _INTERNAL}
        document.pop("legs")
        # Half of an order's fields are empty; a long history loads in half the time without them.
        return {name: value for name, value in document.items() if value is not None and value != []}

    @classmethod
    def from_state(cls, document: dict[str, Any]) -> "Order":
        values: dict[str, Any] = {name: document[name] for name in _WORDS if name in document}
        values |= {name: document[name] for name in (*_GROUP, *_INTERNAL) if name in document}
        for name in _INSTANTS:
            if document.get(name) is not None:
                values[name] = parse_instant(document[name])
        for name in _DECIMALS:
            if document.get(name) is not None:
                values[name] = Decimal(str(document[name]))
        return cls(**values)

    def book_fill(self, qty: Decimal, price: Decimal, at: Nanos) -> None:
        """Adds one execution to the cumulative figures."""
        cost = self.filled_qty * (self.filled_avg_price or ZERO) + qty * price
        self.filled_qty += qty
        self.filled_avg_price = round_average(cost / self.filled_qty)
        self.updated_at = at
        self.filled_at = at

    def describe(self) -> str:
        return f"{self.side} {plain(self.qty or self.notional or ZERO)} {self.symbol}"


def round_average(price: Decimal) -> Decimal:
    return price.quantize(Decimal("1e-9"))
