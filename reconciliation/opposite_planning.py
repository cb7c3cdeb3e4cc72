"""Plan the opposite of what a fix did at Alpaca, when a person wants it: cancel what was placed, replace back. Pure."""

from broker.numbers import exact_or_none
from broker.types import BrokerOrder
from orders.lifecycle import is_terminal
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalOpposite, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.proposals import Proposal, make_proposal
from reconciliation.protection_guard import exit_facts
from reconciliation.protection_planning import cancel, change_operation, in_terms


def plan_opposites(record: LocalRecord, evidence: BrokerEvidence) -> list[Proposal]:
    """One for each wish whose order can still be changed; the others have nothing left to reverse."""
    found = []
    for wish in record.opposites:
        order = evidence.orders.get(wish.broker_order_id)
        if order is not None and not is_terminal(order.status):
            found.append(_opposite(wish, order))
    return found


def _opposite(wish: LocalOpposite, order: BrokerOrder) -> Proposal:
    kind, _, subject = wish.key.partition(":")
    root = Difference(
        kind=Kind(kind),
        subject=subject,
        symbol=order.symbol,
        local={},
        broker=exit_facts(order),
        sentence=f"The opposite of fix {wish.fix_pk} is wanted.",
        broker_order=order,
    )
    key_end = f":opposite:{wish.fix_pk}"
    if not wish.wanted:
        return cancel(root, [order], key_end=key_end)
    before = exit_facts(order)
    return make_proposal(
        root,
        action="replace_order",
        title=f"Replace the order in {order.symbol} back: {in_terms(wish.wanted)}",
        operations=[change_operation("replace_order", order, wanted=_given(wish))],
        before={"order": {}},
        broker={"order": before},
        after={"order": {**before, **wish.wanted, "broker_order_id": "a new one", "status": "live"}},
        about=[root],
        key_end=key_end,
    )


def _given(wish: LocalOpposite) -> dict[str, str]:
    return {name: value for name, value in wish.wanted.items() if name == "time_in_force" or exact_or_none(value)}
