"""Positions as a list: which rows the query string asks for, their columns and totals."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.http import QueryDict

from broker.models import Account
from positions.models import Position
from ui.tables import Column, Table

STATUSES = ("open", "pending", "closed")


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A position with the number of open differences in its symbol."""

    position: Position
    drifts: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all rows that the filters leave, not over one page. What has no price is counted, not guessed."""

    count: int
    market_value: Decimal
    unrealized_pl: Decimal
    realized_pl: Decimal
    total_risk: Decimal
    without_price: int
    without_risk: int
    estimated: int


def _number(label: str, name: str, value: Callable[[Position], Any], *, about: str = "") -> Column[PositionRow]:
    return Column(name=name, label=label, kind="number", value=lambda row: value(row.position), about=about)


def _open_only(value: Callable[[Position], Any]) -> Callable[[Position], Any]:
    """Market value and profit on paper of a position that is not open mean nothing."""
    return lambda position: value(position) if position.is_open else None


TABLE: Table[PositionRow] = Table(
    in_database=False,
    default_sort="symbol",
    columns=(
        Column(name="symbol", label="Symbol", value=lambda row: row.position.symbol),
        Column(name="status", label="Status", value=lambda row: row.position.state),
        Column(
            name="drifts",
            label="Record",
            value=lambda row: row.drifts,
            about="Open differences between the record and Alpaca in this symbol",
        ),
        Column(name="side", label="Side", value=lambda row: row.position.side),
        _number("Quantity", "qty", lambda p: p.qty),
        _number("Entry", "avg_entry_price", lambda p: p.avg_entry_price, about="Average entry price, USD a share"),
        _number("Last", "last_price", lambda p: p.last_price, about="Last price read from Alpaca, USD a share"),
        _number("Value", "market_value", _open_only(lambda p: p.market_value), about="Market value, USD"),
        _number("Unrealised", "unrealized_pl", _open_only(lambda p: p.unrealized_pl), about="Profit on paper, USD"),
        _number("Realised", "realized_pl", lambda p: p.realized_pl, about="Profit taken in this round trip, USD"),
        _number("Stop", "stop_loss", lambda p: p.stop_loss, about="Stop loss, USD a share"),
        _number("Target", "target", lambda p: p.target, about="Target, USD a share"),
        _number("Risk", "total_risk", lambda p: p.total_risk, about="Entry less stop, times quantity, USD"),
        Column(name="opened_at", label="Opened", kind="time", value=lambda row: row.position.opened_at),
        _number("", "risk_per_share", lambda p: p.risk_per_share),
        _number("", "entry_qty", lambda p: p.entry_qty),
        _number("", "avg_exit_price", lambda p: p.avg_exit_price),
        Column(name="closed_at", kind="time", value=lambda row: row.position.closed_at),
        Column(name="last_price_at", kind="time", value=lambda row: row.position.last_price_at),
        Column(name="is_estimated", value=lambda row: row.position.is_estimated),
    ),
)


def drifts_by_symbol(account: Account) -> Mapping[str, int]:
    """Count open differences. By the account's relation: reconciliation stands above this package."""
    return Counter(account.drifts.filter(state="open").exclude(symbol="").values_list("symbol", flat=True))


def position_rows(account: Account, params: QueryDict) -> list[PositionRow]:
    """Return the rows that ?status=, ?side=, ?symbol= (exact), ?q= (part of a symbol) and ?drift=yes leave."""
    positions = Position.objects.filter(account=account)
    for name, field in (("status", "state"), ("side", "side")):
        if value := params.get(name):
            positions = positions.filter(**{field: value})
    if symbol := params.get("symbol", "").strip():
        positions = positions.filter(symbol__iexact=symbol)
    if part := params.get("q", "").strip():
        positions = positions.filter(symbol__icontains=part)
    drifts = drifts_by_symbol(account)
    rows = [PositionRow(position, drifts.get(position.symbol, 0)) for position in positions]
    return [row for row in rows if row.drifts] if params.get("drift") == "yes" else rows


def totals(rows: Iterable[PositionRow]) -> Totals:
    positions = [row.position for row in rows]
    held = [position for position in positions if position.is_open]
    return Totals(
        count=len(positions),
        market_value=_sum(position.market_value for position in held),
        unrealized_pl=_sum(position.unrealized_pl for position in held),
        realized_pl=_sum(position.realized_pl for position in positions),
        total_risk=_sum(position.total_risk for position in held),
        without_price=sum(position.last_price is None for position in held),
        without_risk=sum(position.total_risk is None for position in held),
        estimated=sum(position.is_estimated for position in positions),
    )


def _sum(values: Iterable[Decimal | None]) -> Decimal:
    return sum((value for value in values if value is not None), Decimal(0))


def oldest_price(rows: Iterable[PositionRow]) -> datetime | None:
    """The age of a sum is that of its oldest part."""
    times = [row.position.last_price_at for row in rows if row.position.is_open and row.position.last_price_at]
    return min(times, default=None)
