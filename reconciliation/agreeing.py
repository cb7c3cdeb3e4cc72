"""Leave out what both sides say alike and what is over, so that all else is compared with care. Pure.

Of a hundred thousand orders nearly all have ended and are the same on both sides, to the last fill. One look at the
values as they stand finds that; no kind of difference can be about them. Whatever else could be part of a story stays:
what lives, belongs to a group, replaces or was replaced, lacks a fill, is young, or was sent at the time of an order
that we do not know.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any

from broker.types import BrokerOrder
from orders.lifecycle import SubmissionState, is_terminal
from reconciliation.duplicates import WITHIN
from reconciliation.evidence import BrokerEvidence, LocalFill, LocalRecord

#: Ends that nothing follows: what was replaced goes on under another id.
_ENDS = frozenset({"filled", "canceled", "expired", "rejected"})
_SIMPLE = frozenset({"", "simple"})
#: A fill as young as this may be told by one list and not yet by another.
_YOUNG = timedelta(hours=1)
_ZERO = Decimal(0)

#: What an order is and what became of it, under the names that a row of ours and an order of Alpaca's share.
_FACTS = attrgetter(
    "status", "filled_qty", "replaces", "replaced_by", "side", "order_type", "qty", "notional", "limit_price",
    "stop_price", "trail_price", "trail_percent", "time_in_force", "extended_hours",
)  # fmt: skip
Facts = tuple[Any, ...]


def ended_facts(order: Any) -> Facts | None:
    """Return what a row of ours says, if it is a simple order that is confirmed and over, else nothing."""
    is_over = order.status in _ENDS and order.submission_state == SubmissionState.CONFIRMED
    if not is_over or order.order_class not in _SIMPLE or order.replaces or order.replaced_by:
        return None
    facts: Facts = _FACTS(order)
    return facts


def leave_out_agreeing(record: LocalRecord, evidence: BrokerEvidence) -> tuple[LocalRecord, BrokerEvidence]:
    """Return both pictures without the orders, and their fills, about which there is nothing to say."""
    alike = _alike(record, evidence)
    if not alike:
        return record, evidence
    left_record = replace(
        record,
        orders=tuple(order for order in record.orders if order.broker_order_id not in alike),
        fills={key: fill for key, fill in record.fills.items() if fill.broker_order_id not in alike},
    )
    left_evidence = replace(
        evidence,
        orders={key: order for key, order in evidence.orders.items() if key not in alike},
        fills={key: fill for key, fill in evidence.fills.items() if fill.broker_order_id not in alike},
    )
    return left_record, left_evidence


def _alike(record: LocalRecord, evidence: BrokerEvidence) -> set[str]:
    ended = {o.broker_order_id: o.ended for o in record.orders if o.ended is not None and not o.group_id}
    sums, odd = _sums_of_equal_fills(record.fills, evidence)
    orders = evidence.orders
    like_unknown = _LikeThese([orders[key] for key in orders.keys() - ended.keys()])
    alike, living = set(), []
    for key, facts in ended.items():
        theirs = orders.get(key)
        if theirs is None or key in odd or sums.get(key, _ZERO) != theirs.filled_qty:
            continue
        if facts != _FACTS(theirs) or theirs.order_class not in _SIMPLE or theirs.leg_ids:
            if not is_terminal(theirs.status):
                living.append(theirs)
        elif not like_unknown.has(theirs):
            alike.add(key)
    if living:  # over in our books alone
        like_living = _LikeThese(living)
        alike = {key for key in alike if not like_living.has(orders[key])}
    return alike


def _sums_of_equal_fills(
    booked: Mapping[str, LocalFill], evidence: BrokerEvidence
) -> tuple[dict[str, Decimal], set[str]]:
    """What was filled of each order by the fills that are equal on both sides; and the orders that have another one."""
    young = evidence.read_started_at - _YOUNG
    sums: dict[str, Decimal] = {}
    odd = {booked[key].broker_order_id for key in booked.keys() - evidence.fills.keys()}
    for key, theirs in evidence.fills.items():
        order_id, ours = theirs.broker_order_id, booked.get(key)
        if ours is None:
            odd.add(order_id)
        elif (
            ours.broker_order_id != order_id
            or ours.qty != theirs.qty
            or ours.price != theirs.price
            or ours.side != theirs.side
            or theirs.transaction_time >= young
        ):
            odd |= {order_id, ours.broker_order_id}
        else:
            sums[order_id] = sums[order_id] + theirs.qty if order_id in sums else theirs.qty
    return sums, odd


class _LikeThese:
    """Finds what may be the same order sent once more: of the same quantity, within seconds."""

    def __init__(self, orders: Sequence[BrokerOrder]) -> None:
        self._wanted = {(order.symbol, order.qty) for order in orders}
        self._moments = sorted(at for order in orders if (at := _moment(order)) is not None)

    def has(self, order: BrokerOrder) -> bool:
        if (order.symbol, order.qty) not in self._wanted or (at := _moment(order)) is None:
            return False
        place = bisect_left(self._moments, at - WITHIN)
        return place < len(self._moments) and self._moments[place] <= at + WITHIN


def _moment(order: BrokerOrder) -> datetime | None:
    return order.created_at or order.submitted_at
