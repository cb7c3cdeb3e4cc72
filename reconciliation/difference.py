"""One difference between database and Alpaca, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from broker.types import BrokerActivity, BrokerFill, BrokerOrder
from positions.accounting import LedgerEntry
from reconciliation.kinds import Kind

Facts = Mapping[str, Any]  # field name → spelled value (str, bool, list of str or None): ready for JSON and for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs, of which kind, with both sides in the same field names.

    `subject` is the natural key: the broker order id, client order id or symbol that the kind is about.
    """

    kind: Kind
    subject: str
    symbol: str
    local: Facts
    broker: Facts
    sentence: str
    dollars: Decimal | None = None
    order_pk: int | None = None  # our order, where there is one
    broker_order: BrokerOrder | None = field(default=None, compare=False)
    new_fills: tuple[BrokerFill, ...] = field(default=(), compare=False)  # not in our ledger yet
    gone_fill: str = ""  # activity id of a fill in our ledger that Alpaca does not have (so)
    fills_are_complete: bool = True  # ours and the new ones add up to the order's filled_qty
    holds_cursor_at: datetime | None = None
    #: Lines that the ledger of the symbol lacks and no fill stands for, and those of other symbols beside them.
    entries: tuple[LedgerEntry, ...] = field(default=(), compare=False)
    entries_elsewhere: tuple[tuple[str, LedgerEntry], ...] = field(default=(), compare=False)
    activities: tuple[BrokerActivity, ...] = field(default=(), compare=False)  # Alpaca's entries with their money
    explains: tuple[str, ...] = ()  # keys of differences that follow from this one

    @property
    def key(self) -> str:
        return f"{self.kind.value}:{self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A difference with its root cause: None means that it is a root itself."""

    difference: Difference
    cause_key: str | None = None
