"""The picture of a run: both sides as it saw them, as plain JSON that can be looked at later. Pure.

Numbers are strings, times ISO 8601. Kept whole are all positions and every order that can still change; of what has
ended, the newest up to a bound, so that the picture of a first import does not hold the history of years.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from broker.numbers import plain
from broker.types import BrokerFill, BrokerOrder, BrokerPosition
from orders.lifecycle import is_terminal, is_working
from reconciliation.evidence import BrokerEvidence, LocalFill, LocalOrder, LocalPosition, LocalRecord
from reconciliation.order_comparison import group_of

#: So many orders that have ended, and so many fills, are kept of each picture.
MOST_ENDED = 2000

Facts = dict[str, Any]
Row = TypeVar("Row")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def snapshot_of(evidence: BrokerEvidence, record: LocalRecord, *, most_ended: int = MOST_ENDED) -> dict[str, Facts]:
    """Return `{"local": …, "broker": …}`: what the database and what Alpaca said."""
    orders = _orders_kept(evidence, record, most_ended)
    fills = _fills_kept(evidence, record, most_ended)
    theirs = [order for _, order in sorted(evidence.orders.items())]
    local = {
        "positions": {symbol: _local_position(held) for symbol, held in sorted(record.positions.items())},
        "orders": [_local_order(order) for order in record.orders if _name(order) in orders],
        "fills": {key: _local_fill(fill) for key, fill in sorted(record.fills.items()) if key in fills},
        "orders_left_out": sum(_name(order) not in orders for order in record.orders),
        "fills_left_out": sum(key not in fills for key in record.fills),
    }
    broker = {
        "money": _money(evidence),
        "market_is_open": evidence.clock.is_open,
        "orders_after": _time(evidence.orders_after),
        "activities_after": _time(evidence.activities_after),
        "absent": sorted(evidence.absent_order_ids | evidence.absent_client_order_ids),
        "positions": {symbol: _position(held) for symbol, held in sorted(evidence.positions.items())},
        "orders": [_order(order) for order in theirs if not is_terminal(order.status)],
        "ended_orders": [_order(order) for order in theirs if is_terminal(order.status) and _name(order) in orders],
        "fills": {key: _fill(fill) for key, fill in sorted(evidence.fills.items()) if key in fills},
        "orders_left_out": sum(_name(order) not in orders for order in theirs),
        "fills_left_out": sum(key not in fills for key in evidence.fills),
    }
    return {"local": local, "broker": broker}


def _name(order: BrokerOrder | LocalOrder) -> str:
    """The same for both sides of one order, also while ours does not know Alpaca's id."""
    return order.client_order_id


def _orders_kept(evidence: BrokerEvidence, record: LocalRecord, most: int) -> set[str]:
    """Both sides keep the same ones, or the bound itself would look like a difference."""
    theirs = evidence.orders.values()
    alive = {_name(order) for order in theirs if not is_terminal(order.status)}
    alive |= {_name(order) for order in record.orders if is_working(order.submission_state, order.status)}
    moments: dict[str, datetime] = {_name(order): order.broker_updated_at or _LONG_AGO for order in record.orders}
    moments |= {_name(order): order.submitted_at or _LONG_AGO for order in theirs}
    return alive | _newest(moments, alive, most)


def _fills_kept(evidence: BrokerEvidence, record: LocalRecord, most: int) -> set[str]:
    moments = {key: fill.transaction_time for key, fill in record.fills.items()}
    moments |= {key: fill.transaction_time for key, fill in evidence.fills.items()}
    return _newest(moments, set(), most)


def _newest(moments: Mapping[str, datetime], without: set[str], most: int) -> set[str]:
    ended = [name for name in moments if name not in without]
    return set(sorted(ended, key=lambda name: (moments[name], name), reverse=True)[:most])


# --- Spelling -----------------------------------------------------------------------------------------------


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _spelled(row: object, names: Iterable[str], spell: Callable[[Any], Any]) -> Facts:
    return {name: spell(getattr(row, name)) for name in names}


def _text(value: Decimal | datetime | str | None) -> str | None:
    if isinstance(value, Decimal):
        return plain(value)
    return _time(value) if isinstance(value, datetime) else value


def _money(evidence: BrokerEvidence) -> Facts:
    names = ("equity", "last_equity", "cash", "buying_power", "long_market_value", "short_market_value")
    return _spelled(evidence.account, names, _text)


def _local_position(held: LocalPosition) -> Facts:
    return _spelled(held, ("state", "qty", "avg_entry_price", "stop_loss", "target", "total_risk"), _text)


def _position(held: BrokerPosition) -> Facts:
    return _spelled(held, ("qty", "avg_entry_price", "current_price", "market_value", "unrealized_pl"), _text)


_BOTH_SIDES = ("client_order_id", "broker_order_id", "symbol", "side", "status", "qty", "filled_qty")


def _local_order(order: LocalOrder) -> Facts:
    return _spelled(order, (*_BOTH_SIDES, "filled_avg_price", "submission_state"), _text) | {"pk": order.pk}


def _order(order: BrokerOrder) -> Facts:
    names = (
        *_BOTH_SIDES, "filled_avg_price", "order_type", "order_class", "time_in_force", "notional", "limit_price",
        "stop_price", "trail_price", "trail_percent", "submitted_at",
    )  # fmt: skip
    return _spelled(order, names, _text) | {"group_id": group_of(order), "leg_ids": list(order.leg_ids)}


_FILL = ("broker_order_id", "symbol", "side", "qty", "price", "transaction_time")


def _local_fill(fill: LocalFill) -> Facts:
    return _spelled(fill, _FILL, _text)


def _fill(fill: BrokerFill) -> Facts:
    return _spelled(fill, _FILL, _text)
