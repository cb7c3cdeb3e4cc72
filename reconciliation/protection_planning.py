"""Plan the repairs that act at Alpaca: cancel, replace, or place a stop and target. Pure.

Every one of them needs a person with a permission of their own. Where an order would leave shares unguarded in
between, or would sell at once, there is no plan, and the page says why.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from broker.numbers import plain
from broker.types import BrokerOrder
from orders.lifecycle import is_terminal
from orders.order_class import BRACKET, OTO
from reconciliation.difference import Difference, Facts
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.proposals import Operation, Proposal, make_proposal
from reconciliation.protection import (
    STOP_TYPES,
    Held,
    LiveOrder,
    ends_too_soon,
    is_off_plan,
    protection_of,
)
from reconciliation.protection_fractions import fitting, is_fractional, whole
from reconciliation.protection_guard import Guard, exit_facts, guard_of, may_be_beyond, units

#: The end of the key of a second way to repair the same difference.
INSTEAD = ":instead"

_ZERO = Decimal(0)
_SIMPLE = frozenset({"", "simple"})
#: One that waits for the market to open is none of them; it is proposed once it is live.
_REPLACEABLE = frozenset({"new", "partially_filled", "held"})
_WITH_ENTRY = frozenset({BRACKET, OTO})


def plan_naked(
    root: Difference, _followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """A stop for what has none, with its target as an OCO."""
    guard = guard_of(root.symbol, record, evidence)
    held = guard.held
    if held is None:
        return None
    judged = protection_of(held, guard.live)
    stop = held.stop if held.stop is not None else _stop_of_bracket(guard, root)
    if stop is None or may_be_beyond(held, stop) or judged.open_qty > guard.size - _spoken_for(guard, held):
        return None
    size = judged.open_qty
    if root.kind == Kind.STOP_QTY and is_fractional(guard.size):
        size = whole(size)  # the rest is told of: no stop for it lasts
    if not size:
        return None
    target = held.target if root.kind != Kind.PARTIAL_BRACKET and not _is_reached(held) else None
    if is_fractional(size):
        target = None
    if target is None and _meets_an_entry(guard, held):
        return None
    return _place(root, held, size, stop, target)


def _place(root: Difference, held: Held, size: Decimal, stop: Decimal, target: Decimal | None) -> Proposal:
    wanted = {
        "side": held.exit_side,
        "qty": plain(size),
        "stop_price": plain(stop),
        "target_price": plain(target),
    }
    at = f"a stop at {plain(stop)}" + (f" and a target at {plain(target)}, as one OCO" if target is not None else "")
    return make_proposal(
        root,
        action="place_protection",
        title=f"Place {at}, to {held.exit_side} {plain(size)} {root.symbol}",
        operations=[{"op": "place_protection", "symbol": root.symbol, **wanted}],
        before={"order": {}},
        broker={"order": {}},
        after={"order": {"symbol": root.symbol, **wanted, "status": "live"}},
        about=[root],
    )


def _meets_an_entry(guard: Guard, held: Held) -> bool:
    """Alpaca takes no stop alone beside a simple order of the other side: it could trade with itself."""
    return any(
        order.side != held.exit_side and order.order_class in _SIMPLE and order.order_type != "trailing_stop"
        for order in guard.orders
    )


def _spoken_for(guard: Guard, held: Held) -> Decimal:
    """Shares that live exits hold: Alpaca takes no second order for them."""
    return sum((unit.leaves for unit in units(guard, held.exit_side)), _ZERO)


def _is_reached(held: Held) -> bool:
    """The price is at the target already: an order there would sell at once."""
    if held.target is None or held.last is None:
        return False
    return held.last >= held.target if held.is_long else held.last <= held.target


def _stop_of_bracket(guard: Guard, root: Difference) -> Decimal | None:
    group = root.broker_order.raw.get("group_id") if root.broker_order else None
    legs = [o for o in guard.orders if o.status == "held" and o.order_type in STOP_TYPES and o.stop_price is not None]
    return next((leg.stop_price for leg in legs if leg.raw.get("group_id") == group), None)


def plan_stop_qty(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """One stop alone gets the quantity that is held; beside a pair a second one is placed for the rest."""
    guard = guard_of(root.symbol, record, evidence)
    if guard.held is None:
        return None
    judged = protection_of(guard.held, guard.live)
    if len(judged.stops) == 1 and _stands_alone(guard, judged.stops[0]) and _fits(guard, judged.stops[0]):
        stop = judged.stops[0]
        fit = fitting(guard.size, order_type=stop.order_type, time_in_force=stop.time_in_force)
        return _replace(root, guard, stop, fit, followers) if fit else None
    return plan_naked(root, followers, record, evidence) if judged.open_qty else None


def _stands_alone(guard: Guard, stop: LiveOrder) -> bool:
    mine = [unit for unit in units(guard, stop.side) if stop in unit.orders]
    return len(mine) == 1 and len(mine[0].orders) == 1 and guard.order(stop.order_id).order_class in _SIMPLE


def _fits(guard: Guard, stop: LiveOrder) -> bool:
    """Alpaca counts a replacement's quantity anew once part of the order is filled: no guess about that."""
    others = sum((unit.leaves for unit in units(guard, stop.side) if stop not in unit.orders), _ZERO)
    return guard.order(stop.order_id).filled_qty == 0 and others == 0


def plan_stop_price(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Move the stop to the plan, or let a day stop stay until it is cancelled."""
    guard = guard_of(root.symbol, record, evidence)
    stop = next((order for order in guard.live if order.order_id == root.subject), None)
    if guard.held is None or stop is None or guard.order(root.subject).filled_qty:
        return None
    wanted: dict[str, str] = {}
    if ends_too_soon(guard.held, stop):
        wanted["time_in_force"] = "gtc"
    if not wanted and root.kind == Kind.WRONG_STOP:
        return None  # beyond the market: it sells as soon as it can
    return _replace(root, guard, stop, wanted, followers)


def _replace(
    root: Difference, guard: Guard, stop: LiveOrder, wanted: dict[str, str], followers: Sequence[Difference]
) -> Proposal | None:
    """One replacement for all that is wrong with the stop: its price goes to the plan, too."""
    held, order = guard.held, guard.order(stop.order_id)
    if order.order_class == OTO or order.status not in _REPLACEABLE:
        return None  # Alpaca refuses to replace it: the same refusal would be proposed in every run
    planned = held.stop if held else None
    if held is not None and planned is not None and is_off_plan(held, stop) and stop.order_type != "trailing_stop":
        if may_be_beyond(held, planned):
            return None
        wanted = {**wanted, "stop_price": plain(planned) or "", **_limit_beside(order, planned)}
    if not wanted:
        return None
    before = exit_facts(order)
    return make_proposal(
        root,
        action="replace_order",
        title=f"Replace the stop in {root.symbol}: {in_terms(wanted)}",
        operations=[change_operation("replace_order", order, wanted=wanted)],
        before={"order": {}},
        broker={"order": before},
        after={"order": {**before, **wanted, "broker_order_id": "a new one", "status": "live"}},
        about=[root, *(other for other in followers if other.broker_order is not None)],
    )


def in_terms(wanted: Mapping[str, str]) -> str:
    words = {"qty": "for", "stop_price": "stop at", "limit_price": "limit at", "time_in_force": "good"}
    return ", ".join(f"{words[name]} {'till cancelled' if value == 'gtc' else value}" for name, value in wanted.items())


def _limit_beside(order: BrokerOrder, stop: Decimal) -> dict[str, str]:
    """A stop-limit keeps the distance between its two prices."""
    if order.order_type != "stop_limit" or order.limit_price is None or order.stop_price is None:
        return {}
    return {"limit_price": plain(stop + order.limit_price - order.stop_price) or ""}


def plan_cancel(
    root: Difference, _followers: Sequence[Difference], _record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Cancel the order that the difference is about, if it still lives."""
    order = evidence.orders.get(root.broker_order.broker_order_id) if root.broker_order else None
    if order is None or is_terminal(order.status):
        return None
    return cancel(root, [order])


def plan_double(
    root: Difference, _followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Cancel as many stops as are too many, those off the plan, those that end with the day and the newest first;
    never one that is needed. One that came with its entry and lasts stays before one that was placed for the time
    until the entry was through."""
    guard = guard_of(root.symbol, record, evidence)
    held = guard.held
    if held is None:
        return None
    left = [unit for unit in units(guard, held.exit_side) if unit.has_stop]
    covered = sum((unit.leaves for unit in left), _ZERO)
    extra: list[BrokerOrder] = []
    for unit in sorted(left, key=lambda unit: _worth(held, guard, unit.orders)):
        if covered - unit.leaves >= guard.size:
            covered -= unit.leaves
            extra.append(guard.order(unit.first.order_id))
    return cancel(root, extra) if extra else None


def _worth(held: Held, guard: Guard, orders: Iterable[LiveOrder]) -> tuple[bool, bool, bool, float]:
    """The least worth keeping comes first."""
    stops = [order for order in orders if order.order_type in STOP_TYPES]
    submitted = guard.order(stops[0].order_id).submitted_at
    is_on_plan = not any(is_off_plan(held, stop) for stop in stops)
    lasts = all(stop.time_in_force == "gtc" for stop in stops)
    came_along = lasts and guard.order(stops[0].order_id).order_class in _WITH_ENTRY
    return came_along, is_on_plan, lasts, -submitted.timestamp() if submitted else _NEWEST


_NEWEST = float("-inf")


def cancel(root: Difference, orders: Sequence[BrokerOrder], *, key_end: str = "") -> Proposal:
    """Cancel these orders. Of a pair Alpaca ends the other half with it."""
    names = ", ".join(f"{order.side} {_size(order)} {order.symbol}{_level(order)}" for order in orders)
    facts = exit_facts(orders[0])
    return make_proposal(
        root,
        action="cancel_order",
        title=f"Cancel the order to {names}",
        operations=[change_operation("cancel_order", order) for order in orders],
        before={"order": _local(root)},
        broker={"order": facts},
        after={"order": {**facts, "status": "canceled"}},
        about=[root],
        key_end=key_end,
    )


def _local(root: Difference) -> Facts:
    return {"status": root.local["status"]} if "status" in root.local else {}


def change_operation(op: str, order: BrokerOrder, *, wanted: Mapping[str, str] | None = None) -> Operation:
    operation: Operation = {
        "op": op,
        "symbol": order.symbol,
        "broker_order_id": order.broker_order_id,
        "name": f"{order.side} {_size(order)} {order.symbol}{_level(order)}",
        # It must still be the order that was shown.
        "was": exit_facts(order),
    }
    return operation | ({"wanted": dict(wanted)} if wanted else {})


def _size(order: BrokerOrder) -> str:
    return plain(order.qty) or f"${plain(order.notional)} of"


def _level(order: BrokerOrder) -> str:
    level, word = (order.stop_price, "stop") if order.order_type in STOP_TYPES else (order.limit_price, "limit")
    return f", {word} {plain(level)}" if level is not None else ""


Planner = Callable[[Difference, Sequence[Difference], LocalRecord, BrokerEvidence], Proposal | None]
#: By kind; those that cancel first and place then stand in target_planning.py and pair_planning.py.
PROTECTION_PLANNERS: Mapping[Kind, Planner] = {
    Kind.NAKED_POSITION: plan_naked,
    Kind.PARTIAL_BRACKET: plan_naked,
    Kind.STOP_PRICE: plan_stop_price,
    Kind.WRONG_STOP: plan_stop_price,
    Kind.ORPHAN_EXIT: plan_cancel,
    Kind.BROKEN_OCO: plan_cancel,
    Kind.DUPLICATE_SUBMISSION: plan_cancel,
}


def broker_choices(roots: Sequence[Difference], evidence: BrokerEvidence) -> list[Proposal]:
    """A second way to repair, beside a copy into our books: cancel at Alpaca what we believed to be over."""
    found = []
    for root in roots:
        order = evidence.orders.get(root.broker_order.broker_order_id) if root.broker_order else None
        if root.kind == Kind.ZOMBIE_ORDER and order is not None and not is_terminal(order.status):
            found.append(cancel(root, [order], key_end=INSTEAD))
    return found
