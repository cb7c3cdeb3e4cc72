"""The totals under the list of positions: exact sums over all rows that the filters leave."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Min, QuerySet, TextField
from django.db.models.functions import Cast

from positions.models import Position


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all rows that the filters leave, not over one page. What has no price is counted, not guessed."""

    count: int
    market_value: Decimal
    unrealized_pl: Decimal
    realized_pl: Decimal
    total_risk: Decimal
    initial_risk: Decimal  # of the closed ones, where it is known
    closed_pl: Decimal  # of the same ones
    won: int
    lost: int
    without_price: int
    without_risk: int
    estimated: int

    @property
    def r_multiple(self) -> Decimal | None:
        """What the closed round trips made together, in units of what they risked together."""
        return self.closed_pl / self.initial_risk if self.initial_risk else None


class Figures(NamedTuple):
    """What the sums need of a position. The exact numbers are read as text: a thousand positions are no rows then."""

    state: str
    is_estimated: bool
    qty: str | None
    last_price: str | None
    cost_basis: str | None
    realized_pl: str | None
    total_risk: str | None
    risk_per_share: str | None
    entry_qty: str | None


def totals(positions: "QuerySet[Position]") -> Totals:
    exact = (Cast(name, TextField()) for name in Figures._fields[2:])
    return add_up(map(Figures._make, positions.order_by().values_list("state", "is_estimated", *exact)))


def add_up(positions: Iterable[Figures]) -> Totals:
    found = list(positions)
    held = [position for position in found if position.state == Position.State.OPEN]
    closed = [position for position in found if position.state == Position.State.CLOSED]
    priced = [(_number(p.qty) * _number(p.last_price), _number(p.cost_basis)) for p in held if p.last_price]
    results = [(_number(p.realized_pl), _number(p.risk_per_share) * _number(p.entry_qty)) for p in closed]
    return Totals(
        count=len(found),
        market_value=sum((value for value, _cost in priced), Decimal(0)),
        unrealized_pl=sum((value - cost for value, cost in priced), Decimal(0)),
        realized_pl=sum((_number(position.realized_pl) for position in found), Decimal(0)),
        total_risk=sum((_number(position.total_risk) for position in held), Decimal(0)),
        initial_risk=sum((risk for _result, risk in results if risk), Decimal(0)),
        closed_pl=sum((result for result, risk in results if risk), Decimal(0)),
        won=sum(result > 0 for result, _risk in results),
        lost=sum(result < 0 for result, _risk in results),
        without_price=len(held) - len(priced),
        without_risk=sum(position.total_risk is None for position in held),
        estimated=sum(bool(position.is_estimated) for position in found),
    )


def _number(text: str | None) -> Decimal:
    return Decimal(text) if text else Decimal(0)


def oldest_price(positions: "QuerySet[Position]") -> datetime | None:
    """The age of a sum is that of its oldest part."""
    held = positions.filter(state=Position.State.OPEN)
    at: datetime | None = held.aggregate(at=Min("last_price_at"))["at"]
    return at
