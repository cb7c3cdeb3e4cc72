"""Plan the target that is missing beside a lone stop: the stop holds the shares, so it is replaced by a pair. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from broker.numbers import plain
from orders.identity import is_ours
from orders.order_class import SIMPLE
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.proposals import Proposal, make_proposal
from reconciliation.protection import Held, is_beyond
from reconciliation.protection_guard import Guard, exit_facts, guard_of, units
from reconciliation.protection_planning import Planner, change_operation


def plan_target(
    root: Difference, _followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Replace one plain stop of ours for all that is held by an OCO of stop and target."""
    guard = guard_of(root.symbol, record, evidence)
    held = guard.held
    if held is None or held.stop is None or held.target is None or not _may_be_swapped(guard, held):
        return None
    stop = guard.order(units(guard, held.exit_side)[0].first.order_id)
    if not is_ours(stop.client_order_id):
        return None
    wanted = {
        "side": held.exit_side,
        "qty": plain(guard.size),
        "stop_price": plain(held.stop),
        "target_price": plain(held.target),
    }
    cancelled = change_operation("cancel_order", stop)
    facts = exit_facts(stop)
    return make_proposal(
        root,
        action="replace_stop_by_pair",
        title=f"Replace the stop in {root.symbol} by a stop at {wanted['stop_price']} and a target at "
        f"{wanted['target_price']}, as one OCO: for a moment nothing guards the position",
        operations=[{"op": "place_protection", "symbol": root.symbol, **wanted, "instead_of": [cancelled]}],
        before={"order": {}},
        broker={"order": facts},
        after={"order": {"symbol": root.symbol, **wanted, "status": "live"}},
        about=[root],
    )


def _may_be_swapped(guard: Guard, held: Held) -> bool:
    """One simple stop, unfilled, for whole shares and for all of them; both levels clear of the price."""
    found = units(guard, held.exit_side)
    if len(found) != 1 or len(found[0].orders) != 1 or not found[0].has_stop or found[0].leaves != guard.size:
        return False
    stop = guard.order(found[0].first.order_id)
    is_simple = stop.order_class in {"", SIMPLE} and not stop.filled_qty
    is_whole = guard.size == guard.size.to_integral_value()
    # Were the pair refused, the stop alone must be taken: Alpaca wants no order of the other side beside it.
    is_alone = all(order.side == held.exit_side for order in guard.orders)
    return is_simple and is_whole and is_alone and _is_between(held)


def _is_between(held: Held) -> bool:
    last, stop, target = held.last, held.stop, held.target
    if last is None or stop is None or target is None or is_beyond(held, stop):
        return False
    reached: Decimal = target - last if held.is_long else last - target
    return reached > 0


SWAP_PLANNERS: Mapping[Kind, Planner] = {Kind.TARGET_MISSING: plan_target}
