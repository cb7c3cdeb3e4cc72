"""Plan exits that come in pairs for more shares than are held: all are cancelled, then one pair is placed. Pure.

Alpaca replaces half a pair only, and where several are too many together it may be that none can go alone. So every
exit that holds shares is cancelled, that is proven, and one OCO for what is held takes their place.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from broker.numbers import plain
from broker.types import BrokerOrder
from orders.order_class import SIMPLE
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.proposals import Proposal, make_proposal
from reconciliation.protection import Held, is_beyond
from reconciliation.protection_fractions import whole
from reconciliation.protection_guard import Guard, Unit, exit_facts, guard_of, units
from reconciliation.protection_planning import Planner, change_operation, plan_double, plan_stop_qty

#: What one OCO of a plain stop and a limit is as good as.
_PLAIN = frozenset({"stop", "limit"})
_ZERO = Decimal(0)


def plan_qty_of_pair(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """What leaves every share guarded meanwhile comes first; the swap is for what nothing else repairs."""
    return plan_stop_qty(root, followers, record, evidence) or _swap(root, followers, record, evidence)


def plan_double_pairs(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    return plan_double(root, followers, record, evidence) or _swap(root, followers, record, evidence)


def _swap(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    guard = guard_of(root.symbol, record, evidence)
    held = guard.held
    if held is None:
        return None
    found, size = units(guard, held.exit_side), whole(guard.size)
    stop, target = _level(held.stop, guard, found, "stop"), _level(held.target, guard, found, "limit")
    if stop is None or target is None or not _is_between(held, stop, target):
        return None
    if not size or not _are_too_many(guard, found) or not _may_be_swapped(guard, held, found):
        return None
    return _proposal(root, followers, _holding(guard, found), _wanted(held, size, stop, target))


def _wanted(held: Held, size: Decimal, stop: Decimal, target: Decimal) -> dict[str, str | None]:
    return {
        "side": held.exit_side,
        "qty": plain(size),
        "stop_price": plain(stop),
        "target_price": plain(target),
    }


def _proposal(
    root: Difference, followers: Sequence[Difference], gone: Sequence[BrokerOrder], wanted: dict[str, str | None]
) -> Proposal:
    what = "pair of exits" if len(gone) == 1 else f"{len(gone)} exits"
    return make_proposal(
        root,
        action="replace_pairs",
        title=f"Replace the {what} in {root.symbol} by one OCO for {wanted['qty']}, a stop at {wanted['stop_price']} "
        f"and a target at {wanted['target_price']}: for a moment nothing guards the position",
        operations=[
            {
                "op": "place_protection",
                "symbol": root.symbol,
                **wanted,
                "instead_of": [change_operation("cancel_order", order) for order in gone],
            }
        ],
        before={"order": {}},
        broker={"order": exit_facts(gone[0])},
        after={"order": {"symbol": root.symbol, **wanted, "status": "live"}},
        about=[root, *(other for other in followers if other.broker_order is not None)],
    )


def _level(planned: Decimal | None, guard: Guard, found: Iterable[Unit], order_type: str) -> Decimal | None:
    """The plan's; without one the only level at which such orders are."""
    if planned is not None:
        return planned
    orders = [order for order in _orders(guard, found) if order.order_type == order_type]
    levels = {order.stop_price if order_type == "stop" else order.limit_price for order in orders}
    return levels.pop() if len(levels) == 1 else None


def _are_too_many(guard: Guard, found: Sequence[Unit]) -> bool:
    """A plain stop that stands alone is replaced by itself; nothing has to be cancelled for that."""
    over = sum((unit.leaves for unit in found), _ZERO) > guard.size
    return over and any(order.order_class not in {"", SIMPLE} for order in _orders(guard, found))


def _may_be_swapped(guard: Guard, held: Held, found: Sequence[Unit]) -> bool:
    """Every open order of the symbol is one of these exits, plain and unfilled, and each of them has its stop."""
    mine = {order.order_id for unit in found for order in unit.orders}
    # Were the pair refused, the stop alone must be taken: Alpaca wants no order of the other side beside it.
    is_all = all(order.broker_order_id in mine and order.side == held.exit_side for order in guard.orders)
    is_plain = all(order.order_type in _PLAIN and not order.filled_qty for order in guard.orders)
    return is_all and is_plain and all(unit.has_stop for unit in found)


def _is_between(held: Held, stop: Decimal, target: Decimal) -> bool:
    if held.last is None or is_beyond(held, stop):
        return False
    return held.last < target if held.is_long else held.last > target


def _holding(guard: Guard, found: Iterable[Unit]) -> list[BrokerOrder]:
    """The orders that hold the shares: a held one waits beside them and goes with its pair."""
    return [order for order in _orders(guard, found) if order.status != "held"]


def _orders(guard: Guard, found: Iterable[Unit]) -> list[BrokerOrder]:
    return [guard.order(order.order_id) for unit in found for order in unit.orders]


PAIR_PLANNERS: Mapping[Kind, Planner] = {
    Kind.STOP_QTY: plan_qty_of_pair,
    Kind.DOUBLE_PROTECTION: plan_double_pairs,
}
