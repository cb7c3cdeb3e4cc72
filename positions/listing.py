"""Positions as a list: which rows the query string asks for, and their columns.

Open and closed positions have the same columns; which of them are usual depends on what is asked for.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import DateTimeField, Exists, OuterRef, QuerySet, Value
from django.http import QueryDict

from broker.models import Account
from positions.models import Crossing, Position
from positions.sorting import counted, sort_of
from ui.tables import Column, Table

STATUSES = ("open", "pending", "closed")


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A position with the number of open differences in its symbol, as of `now`."""

    position: Position
    drifts: int
    now: datetime | None = None
    is_crossed: bool = False  # its stop or target, and nobody has acknowledged it

    @property
    def age_seconds(self) -> int | None:
        """How long a closed round trip lasted, or an open one has lasted so far."""
        opened_at = self.position.opened_at
        until = self.position.closed_at or self.now
        return None if opened_at is None or until is None else int((until - opened_at).total_seconds())


def _number(label: str, name: str, value: Callable[[Position], Any], *, about: str = "") -> Column[PositionRow]:
    return Column(name=name, label=label, kind="number", value=lambda row: value(row.position), about=about)


def _open_only(value: Callable[[Position], Any]) -> Callable[[Position], Any]:
    """Market value and profit on paper of a position that is not open mean nothing."""
    return lambda position: value(position) if position.is_open else None


def _percent(value: Callable[[Position], Decimal | None]) -> Callable[[Position], Decimal | None]:
    def percent(position: Position) -> Decimal | None:
        fraction = value(position)
        return None if fraction is None else round(fraction * 100, 4)

    return percent


_COLUMNS: tuple[Column[PositionRow], ...] = (
    Column(name="symbol", label="Symbol", value=lambda row: row.position.symbol),
    Column(name="status", label="Status", value=lambda row: row.position.state),
    Column(
        name="drifts",
        label="Record",
        value=lambda row: row.drifts,
        about="Open differences between the record and Alpaca in this symbol",
    ),
    Column(name="side", label="Side", value=lambda row: row.position.side),
    _number("Quantity", "qty", lambda p: p.qty, about="Shares, negative for a short"),
    _number("Entered", "entry_qty", lambda p: p.entry_qty, about="Shares, all that was ever entered"),
    _number("Entry", "avg_entry_price", lambda p: p.avg_entry_price, about="Average entry price, USD a share"),
    _number("Exit", "avg_exit_price", lambda p: p.avg_exit_price, about="Average exit price, USD a share"),
    _number("Last", "last_price", lambda p: p.last_price, about="Last price read from Alpaca, USD a share"),
    _number("Value", "market_value", _open_only(lambda p: p.market_value), about="Market value, USD"),
    _number("Unrealised", "unrealized_pl", _open_only(lambda p: p.unrealized_pl), about="Profit on paper, USD"),
    _number("Unrealised %", "unrealized_pl_pct", _open_only(_percent(lambda p: p.unrealized_pl_fraction)),
            about="Profit on paper, percent of cost"),
    _number("Realised", "realized_pl", lambda p: p.realized_pl, about="Profit taken in this round trip, USD"),
    _number("Realised %", "realized_pl_pct", _percent(lambda p: p.realized_pl_fraction),
            about="Profit of the closed round trip, percent of what was entered"),
    _number("R", "r_multiple", lambda p: None if p.r_multiple is None else round(p.r_multiple, 4),
            about="R multiple: profit in units of the risk at entry; -1 is the planned loss"),
    _number("Stop", "stop_loss", lambda p: p.stop_loss, about="Stop loss, USD a share"),
    _number("To stop", "stop_distance", _percent(lambda p: p.stop_distance),
            about="Percent of the last price to the stop, negative beyond it; the bar runs from stop to target"),
    _number("Target", "target", lambda p: p.target, about="Target, USD a share"),
    _number("To target", "target_distance", _percent(lambda p: p.target_distance),
            about="Percent of the last price to the target, negative beyond it"),
    _number("Risk", "total_risk", lambda p: p.total_risk, about="Entry less stop, times quantity, USD"),
    _number("Risk at entry", "initial_risk", lambda p: p.initial_risk, about="Entry less stop, times all entered, USD"),
    Column(name="age_seconds", label="Age", kind="number", value=lambda row: row.age_seconds,
           about="Since the opening; of a closed round trip, from opening to close"),
    Column(name="opened_at", label="Opened", kind="time", value=lambda row: row.position.opened_at),
    Column(name="closed_at", label="Closed", kind="time", value=lambda row: row.position.closed_at),
    _number("", "risk_per_share", lambda p: p.risk_per_share),
    Column(name="last_price_at", kind="time", value=lambda row: row.position.last_price_at),
    Column(name="is_estimated", value=lambda row: row.position.is_estimated),
)  # fmt: skip

_USUAL_OPEN = frozenset({
    "symbol", "drifts", "qty", "avg_entry_price", "last_price", "market_value", "unrealized_pl", "realized_pl",
    "stop_loss", "stop_distance", "target", "total_risk", "age_seconds",
})  # fmt: skip
_USUAL_CLOSED = frozenset({
    "symbol", "drifts", "side", "entry_qty", "avg_entry_price", "avg_exit_price", "realized_pl", "realized_pl_pct",
    "r_multiple", "initial_risk", "age_seconds", "closed_at",
})  # fmt: skip


def lines_of(positions: Iterable[Any]) -> list[PositionRow]:
    """Return the lines of positions as `position_rows` reads them."""
    return [PositionRow(row, row.drift_count, row.seen_at, row.is_open and row.is_crossed) for row in positions]


def _table(usual: frozenset[str]) -> Table[PositionRow]:
    columns = tuple(replace(c, is_extra=c.name not in usual, **sort_of(c.name)) for c in _COLUMNS)
    return Table(in_database=True, has_chooser=True, default_sort="symbol", columns=columns, lines=lines_of)


TABLE = _table(_USUAL_OPEN | {"status"})
_BY_STATUS = {"open": _table(_USUAL_OPEN), "closed": _table(_USUAL_CLOSED)}


def table_for(status: str) -> Table[PositionRow]:
    """Return the list with the columns that are usual for what is asked for."""
    return _BY_STATUS.get(status, TABLE)


def drifts_by_symbol(account: Account) -> Mapping[str, int]:
    """Count open differences. By the account's relation: reconciliation stands above this package."""
    return Counter(account.drifts.filter(state="open").exclude(symbol="").values_list("symbol", flat=True))


def position_rows(account: Account, params: QueryDict, *, now: datetime | None = None) -> "QuerySet[Position]":
    """Return the positions that ?status=, ?side=, ?symbol= (exact), ?q= (part of a symbol) and ?drift=yes leave."""
    positions = Position.objects.filter(account=account)
    for name, field in (("status", "state"), ("side", "side")):
        if value := params.get(name):
            positions = positions.filter(**{field: value})
    if symbol := params.get("symbol", "").strip():
        positions = positions.filter(symbol=symbol.upper())
    if part := params.get("q", "").strip():
        positions = positions.filter(symbol__icontains=part)
    drifts = drifts_by_symbol(account)
    if params.get("drift") == "yes":
        positions = positions.filter(symbol__in=drifts)
    crossed = Exists(Crossing.objects.filter(position=OuterRef("pk"), acknowledged_at__isnull=True))
    seen_at = Value(now, DateTimeField(null=True))
    return positions.annotate(drift_count=counted(drifts), seen_at=seen_at, is_crossed=crossed)
