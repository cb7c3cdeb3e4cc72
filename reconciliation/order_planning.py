"""Plan the repair of an order's terms, of a change that was not made, of busted fills and closed positions. Pure.

All of them need a person: each takes over Alpaca's word where our books said otherwise.
"""

from collections.abc import Sequence

from broker.numbers import plain
from positions.accounting import RoundTrip, fold
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.proposals import Operation, Proposal, make_proposal, position_columns
from reconciliation.wording import fills_in_words


def plan_terms(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Take Alpaca's terms over into the record; what is at Alpaca stays as it is."""
    said = ", ".join(f"{name.replace('_', ' ')} {value or 'none'}" for name, value in root.broker.items())
    order = evidence.orders[root.subject]
    return make_proposal(
        root,
        action="accept_terms",
        title=f"Record Alpaca's terms of the order in {order.symbol}: {said}",
        operations=[
            {
                "op": "accept_terms",
                "order_pk": root.order_pk,
                "symbol": order.symbol,
                "said": dict(root.local),
                "terms": dict(root.broker),
            }
        ],
        before={"order": root.local},
        broker={"order": root.broker},
        after={"order": root.broker},
        about=[root],
    )


def plan_missing_order(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Call an order void that Alpaca does not know. What it filled may be real: then there is no such fix."""
    has_filled = any(fill.broker_order_id == root.subject for fill in record.fills.values())
    if has_filled or root.local["filled_qty"] != "0":
        return None
    return make_proposal(
        root,
        action="void_order",
        title=f"Call the order to {root.local['side']} {root.local['qty'] or ''} {root.symbol} void",
        operations=[
            {
                "op": "void_order",
                "order_pk": root.order_pk,
                "symbol": root.symbol,
                "broker_order_id": root.subject,
                "said": root.local["status"],
                "reason": f"Void: by its id {root.subject} Alpaca does not know it any more.",
            }
        ],
        before={"order": root.local},
        broker={"order": {}},
        after={"order": {**root.local, "submission_state": "rejected"}},
        about=[root],
    )


def plan_refused_change(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Note that a change was not made. The wish ends; nothing is sent again."""
    change_pk = root.subject.rpartition("/")[2]
    if root.broker_order is not None or not change_pk.isdigit():
        return None
    return make_proposal(
        root,
        action="close_change",
        title=f"Note that Alpaca did not make the change of the order in {root.symbol}",
        operations=[
            {
                "op": "close_change",
                "change_pk": int(change_pk),
                "symbol": root.symbol,
                "said": root.local["change_state"],
                "outcome": root.sentence,
            }
        ],
        before={"change": root.local},
        broker={"change": root.broker},
        after={"change": {**root.local, "change_state": "refused"}},
        about=[root],
    )


def plan_busted_fill(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Take the fill out, book what Alpaca has in its place, and let the order say what Alpaca says of it."""
    order = root.broker_order
    if order is None:
        return None
    before, after, broker = position_columns(
        root.symbol, root.new_fills, record, evidence, without=frozenset({root.gone_fill})
    )
    ours = f"{root.local['side']} {root.local['qty']} {root.symbol} at {root.local['price']}"
    instead = f" and book {fills_in_words(root.new_fills)} instead" if root.new_fills else ""
    operation: Operation = {
        "op": "take_out_fill",
        "symbol": root.symbol,
        "activity_id": root.gone_fill,
        "said": {name: root.local[name] for name in ("side", "qty", "price")},
        "fills": [fill.raw for fill in root.new_fills],
        "order": order.raw,
    }
    gone = dict.fromkeys(root.local, "")
    return make_proposal(
        root,
        action="take_out_fill",
        title=f"Take the busted fill {ours} out of the ledger{instead}",
        operations=[operation],
        before={"fill": root.local, "position": before},
        broker={"fill": root.broker, "position": broker},
        after={"fill": {**gone, "order_filled_qty": plain(order.filled_qty)}, "position": after},
        about=[root, *(f for f in followers if f.broker_order is not None)],
    )


def plan_closed_without_exit(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Fold the position anew where booked fills say how it was left. No price is ever made up."""
    sequence = int(root.subject.rpartition("#")[2])
    trips = {trip.sequence: trip for trip in fold(record.ledgers.get(root.symbol, ()))}
    trip = trips.get(sequence)
    if trip is None or not _has_true_exit(trip):
        return None
    facts = {
        "state": "closed",
        "entry_qty": plain(trip.entry_qty),
        "avg_entry_price": plain(trip.avg_entry_price),
        "avg_exit_price": plain(trip.avg_exit_price),
        "realized_pl": plain(trip.realized_pl),
    }
    return make_proposal(
        root,
        action="rebuild_position",
        title=f"Take the exit of {root.symbol} at {plain(trip.avg_exit_price)} from its fills",
        operations=[{"op": "rebuild", "symbol": root.symbol}],
        before={"position": root.local},
        broker={},
        after={"position": facts},
        about=[root],
    )


def _has_true_exit(trip: RoundTrip) -> bool:
    sign = 1 if trip.side == "long" else -1
    exits = [entry for entry in trip.entries if entry.qty * sign < 0]
    return not trip.is_open and bool(exits) and all(entry.kind == "fill" for entry in exits)
