"""Find orders that were sent twice: the same terms within seconds, and no second wish of ours behind them. Pure."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from broker.types import BrokerOrder
from orders.identity import OWN_PREFIX, is_ours
from orders.lifecycle import is_terminal
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalOrder
from reconciliation.kinds import Kind
from reconciliation.terms import spell_terms
from reconciliation.unlinked_orders import twice_in_words
from reconciliation.wording import dollars_of, order_facts

#: A retry follows its first attempt within so long; people who mean it twice take longer.
WITHIN = timedelta(seconds=10)
_NEVER = datetime.min.replace(tzinfo=UTC)


def find_twins(
    evidence: BrokerEvidence,
    *,
    by_broker_id: Mapping[str, LocalOrder],
    by_client_id: Mapping[str, LocalOrder],
    legs: Collection[str],
    groups: Collection[str],
) -> dict[str, BrokerOrder]:
    """Return, by the id of the later order, the one of ours that it repeats."""
    alike: dict[tuple[object, ...], list[BrokerOrder]] = defaultdict(list)
    for order in evidence.orders.values():
        is_leg = order.broker_order_id in legs or str(order.raw.get("group_id") or "") in groups
        if _counts(order) and not is_leg and not order.replaces:
            alike[order.symbol, *spell_terms(order).values()].append(order)
    found = {}
    for same in alike.values():
        same.sort(key=lambda order: (order.submitted_at or _NEVER, order.broker_order_id))
        for earlier, later in pairwise(same):
            if _is_near(earlier, later) and _is_one_wish(earlier, later, by_broker_id, by_client_id):
                # Whichever of the two is in our books is the order that was meant.
                first, again = (later, earlier) if _is_odd(earlier, by_broker_id, by_client_id) else (earlier, later)
                found[again.broker_order_id] = first
    return found


def _counts(order: BrokerOrder) -> bool:
    """It is live, or has filled: the others have moved nothing and will not."""
    return not is_terminal(order.status) or order.filled_qty > 0


def _is_near(earlier: BrokerOrder, later: BrokerOrder) -> bool:
    first, second = earlier.created_at or earlier.submitted_at, later.created_at or later.submitted_at
    return first is not None and second is not None and abs(second - first) <= WITHIN


def _is_one_wish(
    earlier: BrokerOrder,
    later: BrokerOrder,
    by_broker_id: Mapping[str, LocalOrder],
    by_client_id: Mapping[str, LocalOrder],
) -> bool:
    """One of the two is ours, and the other is neither an order of its own in our books nor one by its id."""
    pair = (earlier, later)
    ours = [is_ours(order.client_order_id) for order in pair]
    if not any(ours):
        return False
    if all(ours):
        same_line = intent_of(earlier.client_order_id) == intent_of(later.client_order_id)
        # Both in the books: what can still be stopped is worth telling, what has filled is recorded.
        return same_line and (not is_terminal(later.status) or later.broker_order_id not in by_broker_id)
    own, other = pair if ours[0] else (later, earlier)
    is_recorded = own.broker_order_id in by_broker_id or own.client_order_id in by_client_id
    return is_recorded and _is_odd(other, by_broker_id, by_client_id)


def _is_odd(order: BrokerOrder, by_broker_id: Mapping[str, LocalOrder], by_client_id: Mapping[str, LocalOrder]) -> bool:
    return order.broker_order_id not in by_broker_id and order.client_order_id not in by_client_id


def intent_of(client_order_id: str) -> str:
    """What the id says it was sent for: batch and line, or whatever wanted it. Its random end tells sendings apart."""
    parts = client_order_id.removeprefix(OWN_PREFIX).split("-")
    return "-".join(parts[:-1]) if len(parts) > 2 else client_order_id


def live_twin(theirs: BrokerOrder, first: BrokerOrder, ours: LocalOrder) -> Difference:
    """Both are in our books, as one wish that was sent twice: what is left of the second can be cancelled."""
    return Difference(
        kind=Kind.DUPLICATE_SUBMISSION,
        subject=theirs.broker_order_id,
        symbol=theirs.symbol,
        local=order_facts(ours),
        broker={**order_facts(theirs), "repeats": first.client_order_id},
        sentence=twice_in_words(theirs, first),
        dollars=dollars_of(theirs, ()),
        order_pk=ours.pk,
    )
