"""Compare what guards each position at Alpaca with its plan in our books, and find exits that guard nothing. Pure.

The judgement is protection.py's, the same as the protection board shows. While the account's plan is to record only,
a missing stop is no drift: the plan is a figure, not an order. A stop that somebody placed is held against it all the
same, and an exit for shares that nobody has is always drift: if it fills, it opens a position.

Nothing here may depend on a price that moves between two readings, but whether a kind is shown at all.
"""

from collections.abc import Iterator
from decimal import Decimal

from broker.numbers import plain
from broker.types import BrokerOrder
from reconciliation.difference import Difference, Facts
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.order_comparison import group_of
from reconciliation.position_comparison import symbols_in_flight
from reconciliation.protection import (
    LIVE,
    STOP_TYPES,
    Coverage,
    Held,
    LiveOrder,
    Protection,
    ends_too_soon,
    is_off_plan,
    is_wrong,
    protection_of,
)
from reconciliation.protection_fractions import all_that_lasts_is_covered
from reconciliation.protection_guard import Guard, Unit, exit_facts, guards, is_exit, say, units

_ZERO = Decimal(0)
_SIMPLE = frozenset({"", "simple"})
#: Their stop came with the entry, where its sender wanted it: no plan that is only recorded says otherwise.
_WITH_ENTRY = frozenset({"bracket", "oto"})


def compare_protection(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    moving = symbols_in_flight(record, evidence)
    for guard in guards(record, evidence):
        if guard.symbol not in moving:
            yield from _compare(guard, has_plan=record.protection_plan != "record_only")


# --- The kinds ------------------------------------------------------------------------------------------------


def _compare(guard: Guard, *, has_plan: bool) -> Iterator[Difference]:
    yield from _useless_exits(guard)
    if guard.held is None:
        return
    judged = protection_of(guard.held, guard.live)
    if _has_unseen_mates(guard):
        return  # a held stop may lie outside of what was read
    is_rest = judged.coverage == Coverage.PARTLY and all_that_lasts_is_covered(guard.size, judged.covered_qty)
    if judged.coverage in {Coverage.NAKED, Coverage.PARTLY} and not is_rest:
        yield from _unguarded(guard, judged, has_plan=has_plan)
    yield from _too_many(guard, judged)
    for stop in judged.stops:
        yield from _stop(guard, stop, has_plan=has_plan)
    whole = guard.size == guard.size.to_integral_value()
    if has_plan and whole and judged.coverage in {Coverage.COVERED, Coverage.WRONG} and not judged.targets:
        yield from _target_missing(guard, judged)


def _has_unseen_mates(guard: Guard) -> bool:
    """An exit that works in a pair, whose other half is neither among the live nor among the ended orders."""
    known = [*guard.orders, *guard.ended]
    for order in guard.orders:
        if order.order_class in _SIMPLE or order.order_class == "oto" or order.status not in LIVE:
            continue
        mates = [o for o in known if o is not order and group_of(o) and group_of(o) == group_of(order)]
        if not mates and not order.leg_ids:
            return True
    return False


def _useless_exits(guard: Guard) -> Iterator[Difference]:
    """Exits for shares that nobody has: their fill would open a position, or turn it."""
    held = guard.held
    if held is None:
        for unit in units(guard, None):
            yield _useless(guard, unit, "no such shares are held")
        return
    for unit in units(guard, None):
        if unit.first.side != held.exit_side:
            yield _useless(guard, unit, "the position is on the other side")
    for unit in _beyond_the_held(guard, units(guard, held.exit_side)):
        yield _useless(guard, unit, f"with the other exits it is for more than the {plain(guard.size)} that are held")
    yield from _both_filled(guard, held)


def _useless(guard: Guard, unit: Unit, why: str) -> Difference:
    order = guard.order(unit.first.order_id)
    filled = [o for o in guard.ended if o.status == "filled" and _same_pair(o, order) and is_exit(o)]
    if filled:
        said = f"{say(filled[0])} was filled, and the other half of the pair is still live; {why}"
        return _about_order(Kind.BROKEN_OCO, guard, order, unit.leaves, f"{said}: its fill would open a position.")
    said = f"{say(order)} is live, but {why}: its fill would open a position."
    return _about_order(Kind.ORPHAN_EXIT, guard, order, unit.leaves, said)


def _beyond_the_held(guard: Guard, found: list[Unit]) -> list[Unit]:
    """Of exits that together sell more than is held those without a stop, as many as are too many."""
    over = sum((unit.leaves for unit in found), _ZERO) - guard.size
    useless = []
    for unit in sorted(found, key=lambda unit: (unit.leaves, unit.first.order_id), reverse=True):
        if over > 0 and not unit.has_stop:
            useless.append(unit)
            over -= unit.leaves
    return useless


def _both_filled(guard: Guard, held: Held) -> Iterator[Difference]:
    """Both halves of a pair sold: the position stands on the other side."""
    exits = [order for order in guard.ended if order.status == "filled" and is_exit(order)]
    for number, one in enumerate(exits):
        for other in exits[number + 1 :]:
            if _same_pair(one, other) and one.side == other.side and one.side != held.exit_side:
                said = f"{say(one)} and its other half at {plain(other.filled_avg_price)} were both filled"
                sentence = f"{said}, though one should have ended the other: {plain(held.qty)} {guard.symbol} are held."
                yield _about_order(Kind.BROKEN_OCO, guard, other, other.filled_qty, sentence)


def _same_pair(one: BrokerOrder, other: BrokerOrder) -> bool:
    return bool(group_of(one)) and group_of(one) == group_of(other)


def _unguarded(guard: Guard, judged: Protection, *, has_plan: bool) -> Iterator[Difference]:
    open_qty, size = plain(judged.open_qty), plain(guard.size)
    bracket = _partly_filled_bracket(guard)
    if bracket is not None:
        said = (
            f"{say(bracket)} has filled {plain(bracket.filled_qty)}; its exits wait until it is filled whole, so "
            f"{open_qty} {guard.symbol} have no live stop."
        )
        yield _about_order(Kind.PARTIAL_BRACKET, guard, bracket, judged.open_qty, said)
    elif judged.coverage == Coverage.PARTLY and (has_plan or any(_was_placed(guard, stop) for stop in judged.stops)):
        said = f"Live stops guard {plain(judged.covered_qty)} of {size} {guard.symbol}; {open_qty} have none."
        yield _about_symbol(Kind.STOP_QTY, guard, judged, judged.open_qty, said)
    elif has_plan and judged.coverage == Coverage.NAKED:
        planned = guard.held.stop if guard.held else None
        plan = f"The plan is a stop at {plain(planned)}." if planned is not None else "No stop is planned."
        said = f"{size} {guard.symbol} are held and no live stop guards them. {plan}"
        yield _about_symbol(Kind.NAKED_POSITION, guard, judged, judged.open_qty, said)


def _was_placed(guard: Guard, stop: LiveOrder) -> bool:
    """By itself, to guard what was held; not with an entry, whose own shares it guards."""
    return guard.order(stop.order_id).order_class not in _WITH_ENTRY


def _partly_filled_bracket(guard: Guard) -> BrokerOrder | None:
    for order in guard.orders:
        waits = [o for o in guard.orders if o.status == "held" and o.side != order.side and _same_pair(o, order)]
        if order.filled_qty and guard.held and order.side != guard.held.exit_side and waits:
            return order
    return None


def _too_many(guard: Guard, judged: Protection) -> Iterator[Difference]:
    over = sum((stop.leaves for stop in judged.stops), _ZERO) - guard.size
    if over <= 0:
        return
    over_held = f"{plain(over)} more than the {plain(guard.size)} that are held: filled, it would turn the position."
    if len(judged.stops) > 1:
        said = f"{len(judged.stops)} live stops in {guard.symbol} are together for {over_held}"
        yield _about_symbol(Kind.DOUBLE_PROTECTION, guard, judged, over, said)
    else:
        said = f"The live stop in {guard.symbol} is for {over_held}"
        yield _about_symbol(Kind.STOP_QTY, guard, judged, over, said)


def _stop(guard: Guard, stop: LiveOrder, *, has_plan: bool) -> Iterator[Difference]:
    held = guard.held
    assert held is not None  # noqa: S101  # only what is held has stops
    order, name = guard.order(stop.order_id), say(guard.order(stop.order_id))
    if is_wrong(held, stop):
        if ends_too_soon(held, stop):
            said = f"{name} ends at the close, and the position is held overnight."
        else:
            said = f"{name} lies beyond the market and has not sold."
        yield _about_order(Kind.WRONG_STOP, guard, order, stop.leaves, said)
    elif not has_plan and not _was_placed(guard, stop):
        return
    elif held.stop is not None and stop.stop_price is not None and is_off_plan(held, stop):
        said = f"{name} is live; the plan says {plain(held.stop)}."
        yield _about_order(Kind.STOP_PRICE, guard, order, stop.leaves, said)


def _target_missing(guard: Guard, judged: Protection) -> Iterator[Difference]:
    target = guard.held.target if guard.held else None
    if target is not None:
        said = f"{plain(guard.size)} {guard.symbol} have a live stop and no live target. The plan says {plain(target)}."
        yield _about_symbol(Kind.TARGET_MISSING, guard, judged, guard.size, said)


# --- Spelling -------------------------------------------------------------------------------------------------


def _plan_facts(guard: Guard) -> Facts:
    ours = guard.ours
    if ours is None:
        return {"qty": "0"}
    return {"qty": plain(ours.qty), "stop_loss": plain(ours.stop_loss), "target": plain(ours.target)}


def _about_order(kind: Kind, guard: Guard, order: BrokerOrder, qty: Decimal, sentence: str) -> Difference:
    level = order.stop_price or order.limit_price or guard.entry_price
    return Difference(
        kind=kind,
        subject=order.broker_order_id,
        symbol=guard.symbol,
        local=_plan_facts(guard),
        broker={"position_qty": plain(guard.held.qty) if guard.held else "0", **exit_facts(order)},
        sentence=sentence,
        dollars=qty * level if level is not None else None,
        broker_order=order,
    )


def _about_symbol(kind: Kind, guard: Guard, judged: Protection, qty: Decimal, sentence: str) -> Difference:
    def spell(order: LiveOrder) -> str:
        level = order.stop_price if order.order_type in STOP_TYPES else order.limit_price
        at = "" if level is None or order.order_type == "trailing_stop" else f" at {plain(level)}"
        return f"{order.order_type} {plain(order.leaves)}{at} {order.order_id}"

    return Difference(
        kind=kind,
        subject=guard.symbol,
        symbol=guard.symbol,
        local=_plan_facts(guard),
        broker={
            "position_qty": plain(guard.held.qty) if guard.held else "0",
            "stops": [spell(order) for order in judged.stops],
            "targets": [spell(order) for order in judged.targets],
        },
        sentence=sentence,
        dollars=qty * guard.entry_price if guard.entry_price is not None else None,
    )
