"""Compare the record with the evidence. Pure: two values in, a list of differences out.

The order of the questions is the order of causes: identity first, then state, then fills, then positions.
`compare(x, x)` is empty.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from reconciliation.agreeing import leave_out_agreeing
from reconciliation.cash_comparison import compare_cash
from reconciliation.corporate_comparison import compare_corporate
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.evidence_comparison import compare_evidence
from reconciliation.fill_comparison import compare_fills
from reconciliation.order_comparison import compare_orders
from reconciliation.position_comparison import (
    compare_closed_positions,
    compare_netting_guesses,
    compare_positions,
)
from reconciliation.protection_comparison import compare_protection

Part = Callable[[LocalRecord, BrokerEvidence], Iterator[Difference]]
#: Each compares one group of kinds.
PARTS: tuple[Part, ...] = (
    compare_evidence,
    compare_orders,
    compare_fills,
    compare_positions,
    compare_netting_guesses,
    compare_closed_positions,
    compare_protection,
    compare_corporate,
    compare_cash,
)


def compare(record: LocalRecord, evidence: BrokerEvidence) -> list[Difference]:
    """Return every difference between the two, in a stable order."""
    return compare_all(*leave_out_agreeing(record, evidence))


def compare_all(record: LocalRecord, evidence: BrokerEvidence) -> list[Difference]:
    """The same with a careful look at everything, also at what both sides say alike: slow for a long history."""
    found = [difference for part in PARTS for difference in part(record, evidence)]
    return sorted(found, key=_in_order_of_events)


def older_than_booked(record: LocalRecord, evidence: BrokerEvidence) -> str | None:
    """Return the id of an order that Alpaca shows as it was before what it has said already, if there is one."""
    for ours in record.orders:
        theirs = evidence.orders.get(ours.broker_order_id)
        if theirs is None or theirs.updated_at is None or ours.broker_updated_at is None:
            continue
        if theirs.updated_at < ours.broker_updated_at and (theirs.status, theirs.filled_qty) != (
            ours.status,
            ours.filled_qty,
        ):
            return theirs.broker_order_id
    return None


def _in_order_of_events(difference: Difference) -> tuple[bool, datetime, str]:
    """Dated differences first, as they happened; the key decides between equals, so that two runs agree."""
    moment = difference.holds_cursor_at
    return (moment is None, moment or datetime.min.replace(tzinfo=UTC), difference.key)
