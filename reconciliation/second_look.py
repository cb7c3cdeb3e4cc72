"""One look-up by id before a fill is called missing or too many: lists are cut short, windows begin too late."""

from dataclasses import replace
from decimal import Decimal

from broker.errors import BrokerError, NotFound
from broker.gateway import Gateway
from broker.types import BrokerFill
from reconciliation.errors import IncompleteRead
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.fill_comparison import absent_fills

#: With more orders in doubt than this the list itself is at fault, and a full read is cheaper.
MOST_LOOK_UPS = 20


def look_again(gateway: Gateway, record: LocalRecord, evidence: BrokerEvidence) -> BrokerEvidence:
    """Return the evidence with what the orders in doubt say themselves.

    Raises IncompleteRead when an order has a fill that the list of that time did not show.
    """
    doubtful = sorted(_absent(record, evidence) | _not_adding_up(record, evidence))
    fills = dict(evidence.fills)
    for order_id in doubtful[:MOST_LOOK_UPS]:
        for fill in _fills_of(gateway, order_id):
            if fill.activity_id not in evidence.fills and _is_in_window(fill, evidence):
                raise IncompleteRead(
                    f"Order {order_id} has fill {fill.activity_id} of {fill.transaction_time:%Y-%m-%d %H:%M:%S} UTC, "
                    "but the list of fills of that time did not show it: the list was incomplete."
                )
            fills.setdefault(fill.activity_id, fill)
    return replace(evidence, fills=fills) if len(fills) > len(evidence.fills) else evidence


def _fills_of(gateway: Gateway, order_id: str) -> list[BrokerFill]:
    try:
        return gateway.fills_of(order_id)
    except NotFound:
        return []
    except BrokerError as error:
        raise IncompleteRead(str(error)) from error


def _absent(record: LocalRecord, evidence: BrokerEvidence) -> set[str]:
    """Orders whose booked fills Alpaca does not list, unless it says that it took one back."""
    absent = {record.fills[activity_id].broker_order_id for activity_id in absent_fills(record, evidence)}
    return absent - _with_reversals(evidence)


def _not_adding_up(record: LocalRecord, evidence: BrokerEvidence) -> set[str]:
    """Orders of ours of which all known fills, on both sides, are not what Alpaca says is filled."""
    sums: dict[str, Decimal] = {order.broker_order_id: Decimal(0) for order in record.orders if order.broker_order_id}
    ours = {fill.activity_id: (fill.broker_order_id, fill.qty) for fill in record.fills.values()}
    theirs = {fill.activity_id: (fill.broker_order_id, fill.qty) for fill in evidence.fills.values()}
    for order_id, qty in (ours | theirs).values():
        if order_id in sums:
            sums[order_id] += qty
    doubtful = {
        order_id
        for order_id, total in sums.items()
        if order_id in evidence.orders and evidence.orders[order_id].filled_qty != total
    }
    return doubtful - _with_reversals(evidence)


def _with_reversals(evidence: BrokerEvidence) -> set[str]:
    """Their own list shows what was taken back as well, so that it proves nothing more."""
    return {
        str(other.raw.get("order_id") or "") for other in evidence.other_activities if other.activity_type == "FILL"
    }


def _is_in_window(fill: BrokerFill, evidence: BrokerEvidence) -> bool:
    since = evidence.activities_after
    return (since is None or since < fill.transaction_time) and fill.transaction_time < evidence.read_started_at
