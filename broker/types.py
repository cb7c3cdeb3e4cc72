"""What the broker says, as values: frozen, Decimal from strings, UTC times, the raw JSON kept beside.

Field names are Alpaca's own. A word that Alpaca may add to (status, type, class) stays a plain string.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

Raw = Mapping[str, Any]


class RawText(str):
    """JSON as it was sent, fit to be stored as it is: what is read of it again is what `raw` says."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccount:
    account_id: str
    account_number: str
    status: str
    created_at: datetime | None
    equity: Decimal
    last_equity: Decimal
    cash: Decimal
    buying_power: Decimal
    long_market_value: Decimal
    short_market_value: Decimal
    trading_blocked: bool
    account_blocked: bool
    trade_suspended_by_user: bool
    raw: Raw = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerClock:
    timestamp: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingDay:
    """One session; open and close are aware times, so half days and daylight saving are already in them."""

    day: date
    open_at: datetime
    close_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAsset:
    asset_id: str
    symbol: str
    name: str
    asset_class: str
    status: str
    tradable: bool
    fractionable: bool
    shortable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    broker_order_id: str
    client_order_id: str
    symbol: str
    asset_id: str
    side: str
    order_type: str
    order_class: str
    time_in_force: str
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_price: Decimal | None
    trail_percent: Decimal | None
    extended_hours: bool
    status: str
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    created_at: datetime | None
    updated_at: datetime | None
    submitted_at: datetime | None
    filled_at: datetime | None
    canceled_at: datetime | None
    expired_at: datetime | None
    failed_at: datetime | None
    replaced_at: datetime | None
    replaces: str
    replaced_by: str
    subtag: str
    leg_ids: tuple[str, ...]
    raw: Raw = field(compare=False)
    raw_text: RawText | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFill:
    """One FILL activity: `price` and `qty` of this execution alone; qty is always positive."""

    activity_id: str
    broker_order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    cum_qty: Decimal | None
    leaves_qty: Decimal | None
    transaction_time: datetime
    raw: Raw = field(compare=False)
    raw_text: RawText | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerActivity:
    """An account activity that is no fill: a split, a dividend, a fee, or a word we do not know yet."""

    activity_id: str
    activity_type: str
    symbol: str
    qty: Decimal | None
    price: Decimal | None
    net_amount: Decimal | None
    day: str
    raw: Raw = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPosition:
    symbol: str
    asset_id: str
    qty: Decimal
    avg_entry_price: Decimal
    current_price: Decimal | None
    market_value: Decimal | None
    unrealized_pl: Decimal | None
    raw: Raw = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """One order to send. Exactly one of qty and notional is given."""

    client_order_id: str
    symbol: str
    side: str
    order_type: str
    time_in_force: str
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    order_class: str = ""
    take_profit_limit_price: Decimal | None = None
    stop_loss_stop_price: Decimal | None = None
    stop_loss_limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """New terms of an order that is open at Alpaca; what is None stays as it is.

    `qty` is what the whole order shall be for, its fills so far included.
    """

    client_order_id: str
    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersPage:
    """One page of orders as it was read. `is_last` is proven: the broker was asked for more and had none."""

    orders: tuple[BrokerOrder, ...]
    cursor: str
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivitiesPage:
    fills: tuple[BrokerFill, ...]
    others: tuple[BrokerActivity, ...]
    cursor: str
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerBar:
    """One candle. Prices in dollars a share."""

    starts_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEquity:
    """Equity at the end of one day in New York, in dollars."""

    day: date
    equity: Decimal
