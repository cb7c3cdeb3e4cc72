"""The totals under the list of positions: exact sums over all rows that the filters leave."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Min, QuerySet, TextField
from django.db.models.functions import Cast

from positions.models import Position

ZERO = Decimal(0)
OPEN, CLOSED = Position.State.OPEN.value, Position.State.CLOSED.value


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
    return add_up(positions.order_by().values_list("state", "is_estimated", *exact))


def add_up(positions: Iterable[tuple[Any, ...]]) -> Totals:
    """Add up rows of Figures, each once: the list does this at every refresh."""
    count, numbers = Counter[str](), dict.fromkeys(("value", "cost", "realized", "risk", "initial", "closed"), ZERO)
    for state, is_estimated, qty, last_price, cost, realized_pl, total_risk, risk_per_share, entry_qty in positions:
        result = Decimal(realized_pl)
        numbers["realized"] += result
        count["all"] += 1
        count["estimated"] += bool(is_estimated)
        if state == OPEN:
            if last_price is None:
                count["without price"] += 1
            else:
                numbers["value"] += Decimal(qty) * Decimal(last_price)
                numbers["cost"] += Decimal(cost)
            if total_risk is None:
                count["without risk"] += 1
            else:
                numbers["risk"] += Decimal(total_risk)
        elif state == CLOSED:
            count["won"] += result > 0
            count["lost"] += result < 0
            initial = Decimal(risk_per_share) * Decimal(entry_qty) if risk_per_share else ZERO
            if initial:
                numbers["initial"] += initial
                numbers["closed"] += result
    return Totals(
        count=count["all"],
        market_value=numbers["value"],
        unrealized_pl=numbers["value"] - numbers["cost"],
        realized_pl=numbers["realized"],
        total_risk=numbers["risk"],
        initial_risk=numbers["initial"],
        closed_pl=numbers["closed"],
        won=count["won"],
        lost=count["lost"],
        without_price=count["without price"],
        without_risk=count["without risk"],
        estimated=count["estimated"],
    )


def oldest_price(positions: "QuerySet[Position]") -> datetime | None:
    """The age of a sum is that of its oldest part."""
    held = positions.filter(state=Position.State.OPEN)
    at: datetime | None = held.aggregate(at=Min("last_price_at"))["at"]
    return at
