"""A position that was entered by a bracket has the bracket's stop and target: what we sent is the plan.

Were they reckoned anew from the fill, every fill a cent away from its reference price would leave the live exits off
the plan. They hold until the parameters are changed with effect on open positions; then the plan has moved, the exits
at Alpaca have not, and reconciliation says so.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction

from broker.models import Account
from orders.models import Fill
from orders.order_class import BRACKET
from positions.accounting import RoundTrip
from positions.exact_numbers import WIDE, split_factor
from positions.risk import on_tick


@dataclass(frozen=True, slots=True)
class BracketExits:
    """The exits of one entry order, dollars a share."""

    order_id: int
    recorded_at: datetime
    stop_loss: Decimal
    target: Decimal

    @property
    def source(self) -> str:
        return f"the bracket of order {self.order_id}"


def exits_by_activity(account: Account, symbols: Collection[str] | None) -> dict[str, BracketExits]:
    """Return, by the activity id of each entry's fill, the exits that its order was recorded with. One query."""
    fills = Fill.objects.filter(
        account=account,
        order__order_class=BRACKET,
        order__stop_loss_stop_price__isnull=False,
        order__take_profit_limit_price__isnull=False,
    )
    if symbols is not None:
        fills = fills.filter(symbol__in=symbols)
    columns = ("order_id", "order__recorded_at", "order__stop_loss_stop_price", "order__take_profit_limit_price")
    return {key: BracketExits(*exits) for key, *exits in fills.order_by().values_list("activity_id", *columns)}


def exits_of(
    trip: RoundTrip,
    exits: Mapping[str, BracketExits],
    moved_at: Callable[[datetime, datetime | None], datetime | None],
) -> BracketExits | None:
    """Return what the newest bracket among the entries says; None if the parameters were applied after it.

    `moved_at` says when that was last done while the position was open.
    """
    is_long = trip.side == "long"
    found = [
        exits[entry.order_key] for entry in trip.entries if (entry.qty > 0) == is_long and entry.order_key in exits
    ]
    if not found:
        return None
    newest = max(found, key=lambda one: (one.recorded_at, one.order_id))
    moved = moved_at(trip.opened_at, trip.closed_at)
    return None if moved is not None and moved > newest.recorded_at else _after_splits(newest, trip)


def _after_splits(exits: BracketExits, trip: RoundTrip) -> BracketExits:
    """A split moves the plan along with the average price. Alpaca leaves the orders of a bracket as they are."""
    factor = Fraction(1)
    for entry in trip.entries:
        if entry.ratio is not None and entry.at > exits.recorded_at:
            factor *= split_factor(entry.ratio)
    if factor == 1:
        return exits
    with localcontext(WIDE):
        stop_loss, target = (
            on_tick(level * factor.denominator / factor.numerator) for level in (exits.stop_loss, exits.target)
        )
    return replace(exits, stop_loss=stop_loss, target=target)
