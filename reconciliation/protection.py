"""What guards each position at the broker, against its plan. Pure: values in, values out.

A plan is a stop and a target in our books; it sells nothing. Only an order on the exit side that is live at the
broker does. A stop leg that waits for its entry guards nothing yet; one that waits beside its take-profit does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from broker.numbers import exact_or_none
from broker.times import NEW_YORK
from orders.lifecycle import is_terminal
from positions.risk import tick_of
from reconciliation.protection_fractions import why_unguarded
from ui.formatting import price, qty

STOP_TYPES = frozenset({"stop", "stop_limit", "trailing_stop"})
#: What will sell when the price comes. A word that we do not know proves nothing, so it guards nothing.
LIVE = frozenset({"new", "accepted", "partially_filled", "pending_replace"})
_ZERO = Decimal(0)


class Coverage(StrEnum):
    """Gravest first."""

    NAKED = "naked"  # no live stop at all
    PARTLY = "partly"  # a live stop for some of the quantity
    UNKNOWN = "unknown"  # there is no picture to judge by
    WRONG = "wrong"  # a stop for all of it, but not the planned one
    COVERED = "covered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is held at the broker, and what our books plan for it. `qty` is signed and not zero."""

    symbol: str
    qty: Decimal
    last: Decimal | None
    stop: Decimal | None
    target: Decimal | None
    is_overnight: bool = False  # opened before today's session

    @property
    def is_long(self) -> bool:
        return self.qty > 0

    @property
    def exit_side(self) -> str:
        return "sell" if self.is_long else "buy"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOrder:
    """An order as it was open at the broker."""

    order_id: str
    symbol: str
    side: str
    order_type: str
    status: str
    leaves: Decimal
    stop_price: Decimal | None = None
    limit_price: Decimal | None = None
    time_in_force: str = "gtc"
    group_id: str = ""
    leg_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    coverage: Coverage
    stops: tuple[LiveOrder, ...] = ()
    targets: tuple[LiveOrder, ...] = ()
    covered_qty: Decimal = _ZERO
    open_qty: Decimal = _ZERO  # unsigned: held without a live stop
    to_plan_stop: Decimal | None = None  # dollars from the last price to the planned stop, of the open quantity
    exposed: Decimal | None = None  # dollars: market value of the open quantity
    notes: tuple[str, ...] = ()


def live_order(facts: Mapping[str, Any]) -> LiveOrder:
    """Read an order of a kept picture."""
    size = Decimal(facts["qty"]) if facts["qty"] is not None else _ZERO
    return LiveOrder(
        order_id=facts["broker_order_id"],
        symbol=facts["symbol"],
        side=facts["side"],
        order_type=facts["order_type"],
        status=facts["status"],
        leaves=max(size - Decimal(facts["filled_qty"] or 0), _ZERO),
        stop_price=exact_or_none(facts["stop_price"]),
        limit_price=exact_or_none(facts["limit_price"]),
        time_in_force=facts["time_in_force"],
        group_id=facts["group_id"],
        leg_ids=tuple(facts["leg_ids"]),
    )


def was_opened_before(opened_at: datetime | None, now: datetime) -> bool:
    """Whether a position comes from an earlier day in New York."""
    return opened_at is not None and opened_at.astimezone(NEW_YORK).date() < now.astimezone(NEW_YORK).date()


def unknown(reason: str) -> Protection:
    return Protection(coverage=Coverage.UNKNOWN, notes=(reason,))


def protection_of(held: Held, orders: Sequence[LiveOrder]) -> Protection:
    """Judge one position by the orders that were open in its symbol."""
    mine = [order for order in orders if order.symbol == held.symbol and not is_terminal(order.status)]
    exits = [order for order in mine if order.side == held.exit_side and is_live(order, mine)]
    stops = tuple(order for order in exits if order.order_type in STOP_TYPES and order.leaves)
    targets = tuple(order for order in exits if order.order_type == "limit" and order.leaves)
    size = abs(held.qty)
    covered = min(sum((stop.leaves for stop in stops), _ZERO), size)
    return Protection(
        coverage=_coverage(held, covered, stops),
        stops=stops,
        targets=targets,
        covered_qty=covered,
        open_qty=size - covered,
        to_plan_stop=_to_plan_stop(held, size - covered),
        exposed=None if held.last is None else (size - covered) * held.last,
        notes=(*_notes(held, mine, stops, targets), *why_unguarded(held.symbol, size, covered, held.last)),
    )


def is_live(order: LiveOrder, orders: Iterable[LiveOrder]) -> bool:
    """A held leg is live beside a live order of its group on the same side, and nothing else proves that it is.

    While the entry of its group is open, or was cancelled, it guards shares that nobody has.
    """
    if order.status != "held":
        return order.status in LIVE
    mates = [other for other in orders if other is not order and are_mates(order, other)]
    return any(mate.status in LIVE for mate in mates) and all(mate.side == order.side for mate in mates)


def are_mates(one: LiveOrder, other: LiveOrder) -> bool:
    in_group = bool(one.group_id) and one.group_id == other.group_id
    return in_group or one.order_id in other.leg_ids or other.order_id in one.leg_ids


def _coverage(held: Held, covered: Decimal, stops: Sequence[LiveOrder]) -> Coverage:
    if not covered:
        return Coverage.NAKED
    if covered < abs(held.qty):
        return Coverage.PARTLY
    too_much = sum((stop.leaves for stop in stops), _ZERO) > abs(held.qty)
    if too_much or any(is_off_plan(held, stop) or is_wrong(held, stop) for stop in stops):
        return Coverage.WRONG
    return Coverage.COVERED


def _to_plan_stop(held: Held, open_qty: Decimal) -> Decimal | None:
    """Never negative: a price that is beyond the stop already is said in words."""
    if held.last is None or held.stop is None:
        return None if open_qty else _ZERO
    return open_qty * max(_beyond(held, held.stop, held.last), _ZERO)


def _beyond(held: Held, stop: Decimal, last: Decimal) -> Decimal:
    """How far a price lies on the good side of a stop."""
    return last - stop if held.is_long else stop - last


def is_beyond(held: Held, stop: Decimal) -> bool:
    """True when the price has passed the stop already: it sells at once, or should have."""
    return held.last is not None and _beyond(held, stop, held.last) <= 0


def ends_too_soon(held: Held, stop: LiveOrder) -> bool:
    """A day stop under a position that is held overnight; for a fraction of a share there is no other."""
    return held.is_overnight and stop.time_in_force == "day" and stop.leaves == stop.leaves.to_integral_value()


def is_wrong(held: Held, stop: LiveOrder) -> bool:
    """Whatever its price: it ends with the day, or the price has passed it and it has not sold."""
    passed = stop.stop_price is not None and is_beyond(held, stop.stop_price)
    return passed or ends_too_soon(held, stop)


def is_off_plan(held: Held, stop: LiveOrder) -> bool:
    """Without a plan or a level nobody can say that it is right. A trailing stop may be better: it is for that."""
    if held.stop is None or stop.stop_price is None:
        return True
    better = _beyond(held, held.stop, stop.stop_price)
    tick = tick_of(held.stop)  # levels are rounded to it
    return better < -tick or (better > tick and stop.order_type != "trailing_stop")


# --- In words -------------------------------------------------------------------------------------------------


def _notes(
    held: Held, mine: Sequence[LiveOrder], stops: Sequence[LiveOrder], targets: Sequence[LiveOrder]
) -> Iterable[str]:
    if held.stop is None:
        yield "No stop is planned."
    elif held.last is not None and _beyond(held, held.stop, held.last) < 0:
        yield f"The price is beyond the planned stop of {price(held.stop)} already."
    for stop in stops:
        yield from _stop_notes(held, stop)
    over = sum((stop.leaves for stop in stops), _ZERO) - abs(held.qty)
    if over > 0:
        yield f"Stops for {qty(over)} more than is held: they could turn the position."
    for order in mine:
        if order.side == held.exit_side and order.order_type in STOP_TYPES and order not in stops and order.leaves:
            yield f"A stop for {qty(order.leaves)} is {order.status.replace('_', ' ')}, so it guards nothing."
    planned = held.target
    for at in [target.limit_price for target in targets]:
        if planned is not None and at is not None and abs(at - planned) > tick_of(planned):
            yield f"The target order is at {price(at)}, the plan says {price(planned)}."


def _stop_notes(held: Held, stop: LiveOrder) -> Iterable[str]:
    if held.stop is not None and stop.stop_price is not None and is_off_plan(held, stop):
        gap = _beyond(held, held.stop, stop.stop_price)
        word = "tighter" if gap > 0 else "looser"
        yield f"A stop is at {price(stop.stop_price)}: {price(abs(gap))} {word} than the plan of {price(held.stop)}."
    if stop.order_type == "stop_limit":
        yield "A stop-limit may stay unfilled when the price jumps past its limit."
    if stop.time_in_force == "day":
        yield "A stop is good for today only and ends at the close."


# --- Totals ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    held: Held
    protection: Protection

    @property
    def value(self) -> Decimal | None:
        return None if self.held.last is None else abs(self.held.qty) * self.held.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part of the bar, in thousandths of its width."""

    coverage: Coverage
    count: int
    value: Decimal
    start: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over what is known; what is not is counted, never taken for zero."""

    count: int
    to_plan_stop: Decimal
    exposed: Decimal
    value: Decimal
    without_plan: int  # open quantity, and no stop or no price to reckon with
    unknown: int
    shares: list[Share]

    def count_of(self, coverage: Coverage) -> int:
        return next((share.count for share in self.shares if share.coverage == coverage), 0)


def totals_of(rows: Sequence[Judged]) -> Totals:
    known = [row for row in rows if row.protection.coverage != Coverage.UNKNOWN]
    return Totals(
        count=len(rows),
        to_plan_stop=sum((row.protection.to_plan_stop or _ZERO for row in known), _ZERO),
        exposed=sum((row.protection.exposed or _ZERO for row in known), _ZERO),
        value=sum((row.value or _ZERO for row in rows), _ZERO),
        without_plan=sum(row.protection.to_plan_stop is None for row in known),
        unknown=len(rows) - len(known),
        shares=_shares(rows),
    )


def _shares(rows: Sequence[Judged]) -> list[Share]:
    """By market value; by number while no price is known."""
    values = {coverage: [row for row in rows if row.protection.coverage == coverage] for coverage in Coverage}
    weights = {coverage: sum((row.value or _ZERO for row in found), _ZERO) for coverage, found in values.items()}
    if not any(weights.values()):
        weights = {coverage: Decimal(len(found)) for coverage, found in values.items()}
    whole, start, shares, sum_so_far = sum(weights.values(), _ZERO), 0, [], _ZERO
    for coverage, found in values.items():
        if not found:
            continue
        sum_so_far += weights[coverage]
        end = int(1000 * sum_so_far / whole)
        value = sum((row.value or _ZERO for row in found), _ZERO)
        shares.append(Share(coverage=coverage, count=len(found), value=value, start=start, width=end - start))
        start = end
    return shares
