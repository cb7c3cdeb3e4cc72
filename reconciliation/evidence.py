"""The two pictures that are compared: what Alpaca showed in one complete read, and what our record says.

Both are plain values, so that comparing, explaining and planning need no database, no network and no clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from broker.types import BrokerAccount, BrokerActivity, BrokerClock, BrokerFill, BrokerOrder, BrokerPosition
from positions.accounting import LedgerEntry
from positions.cash_sums import CashBooks


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEvidence:
    """One complete read. What is not in it, in a window that it covers, was not at Alpaca then."""

    read_started_at: datetime
    account: BrokerAccount
    clock: BrokerClock
    orders: Mapping[str, BrokerOrder]  # by broker_order_id
    absent_order_ids: frozenset[str] = frozenset()  # asked for by id: 404
    absent_client_order_ids: frozenset[str] = frozenset()  # asked for by client_order_id: 404
    fills: Mapping[str, BrokerFill] = field(default_factory=dict)  # by activity_id
    other_activities: tuple[BrokerActivity, ...] = ()
    positions: Mapping[str, BrokerPosition] = field(default_factory=dict)  # by symbol
    orders_after: datetime | None = None  # start of the window in which every order was read; None: all
    activities_after: datetime | None = None  # start of the window in which every fill was read
    counts: Mapping[str, object] = field(default_factory=dict, compare=False)  # the proof: pages, rows, cursors
    # Our clock: when reading began, and around Alpaca's answer about its own.
    began_at: datetime | None = None
    clock_asked_at: datetime | None = None
    clock_answered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOrder:
    pk: int
    client_order_id: str
    broker_order_id: str
    submission_state: str
    status: str
    symbol: str
    side: str
    qty: Decimal | None
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    replaced_by: str
    is_in_flight: bool  # recorded for sending or perhaps sent
    leg_ids: tuple[str, ...] = ()
    broker_updated_at: datetime | None = None
    group_id: str = ""  # of a bracket, OCO or OTO
    terms: Mapping[str, str | None] | None = None  # as it was recorded, spelled; None: not compared
    ended: tuple[Any, ...] | None = None  # of a simple order that is over: what it is and became (`agreeing`)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalChange:
    """A wish to cancel or replace an order that, as far as we know, was not refused."""

    pk: int
    broker_order_id: str
    symbol: str
    action: str
    state: str
    wanted: Mapping[str, str]
    replaced_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOpposite:
    """A person wants what a fix did at Alpaca reversed: this order cancelled, or replaced by one on its old terms."""

    fix_pk: int
    key: str  # of the fix
    broker_order_id: str
    wanted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFill:
    activity_id: str
    broker_order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    transaction_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPosition:
    """A stored position that is not closed."""

    symbol: str
    state: str
    qty: Decimal
    avg_entry_price: Decimal | None
    stop_loss: Decimal | None = None
    target: Decimal | None = None
    total_risk: Decimal | None = None
    opened_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPosition:
    """A stored position that is closed, and does not say at what price it was left."""

    symbol: str
    sequence: int
    side: str
    entry_qty: Decimal
    avg_entry_price: Decimal | None
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredPrice:
    """What a person entered where no evidence gives a price: dollars a share."""

    price: Decimal
    entered_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentages:
    """The parameters that a round trip follows, in percent of its entry price."""

    stop_loss_pct: Decimal
    target_pct: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """How the connection that tells of trades is doing, by our clock."""

    is_followed: bool  # a process says that it follows it
    connected_at: datetime | None = None
    last_heard_at: datetime | None = None
    gap_since: datetime | None = None  # since when something may have been missed
    gap_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRecord:
    """The part of our record that the evidence touches, and every position that is not closed."""

    orders: tuple[LocalOrder, ...]
    fills: Mapping[str, LocalFill]  # by activity_id: those of the evidence, of its orders, and of its window
    positions: Mapping[str, LocalPosition]  # by symbol
    ledgers: Mapping[str, tuple[LedgerEntry, ...]]  # by symbol
    #: For a symbol and the opening and closing of its round trip.
    percentages_of: Callable[[str, datetime, datetime | None], Percentages] = field(compare=False)
    stream: StreamFacts | None = None  # None: nobody has ever followed it
    changes: tuple[LocalChange, ...] = ()
    symbols_changing: frozenset[str] = frozenset()  # a cancel or replacement in them is under way
    protection_plan: str = "record_only"
    opposites: tuple[LocalOpposite, ...] = ()
    closed: tuple[ClosedPosition, ...] = ()
    booked_activities: frozenset[str] = frozenset()  # ids of Alpaca's entries that the ledger or the cash ledger has
    asset_ids: Mapping[str, str] = field(default_factory=dict)  # of held symbols that Alpaca does not show
    cash: CashBooks | None = None  # None: the cash ledger has no opening balance yet
    entered: Mapping[str, EnteredPrice] = field(default_factory=dict)  # by the key of the difference it is for
    #: For the reference of an estimated entry: fills from before it that were booked after it.
    came_later: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Symbols with several guesses and fills that came later: they may be wrong where every quantity is right.
    guessed_more_than_once: frozenset[str] = frozenset()
