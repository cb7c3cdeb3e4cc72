"""Plan the exit of a position that is closed and does not say how: from its fills, or at a price entered. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from broker.numbers import plain
from positions.accounting import LedgerEntry, fold, position_at
from reconciliation.adjusting import book_line
from reconciliation.difference import Difference
from reconciliation.entered_facts import told_as_entered
from reconciliation.evidence import BrokerEvidence, ClosedPosition, EnteredPrice, LocalRecord
from reconciliation.order_planning import plan_closed_without_exit
from reconciliation.proposals import Proposal, make_proposal
from reconciliation.without_trade import ledger_with_new_fills, qty_there


def plan_exit(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """What fills tell goes before what anybody entered."""
    told = plan_closed_without_exit(root, followers, record, evidence)
    if told is not None:
        return told
    entered = record.entered.get(root.key)
    closed = next((row for row in record.closed if f"{row.symbol}#{row.sequence}" == root.subject), None)
    if entered is None or closed is None:
        return None
    ledger = record.ledgers.get(root.symbol, ())
    exit_ = _exit(root, closed, ledger, entered)
    if exit_ is None:
        return None
    after = [*ledger_with_new_fills(root.symbol, record, evidence), exit_]
    if position_at(after).qty != qty_there(root.symbol, evidence):
        return None  # it would trade one difference for another
    return _book_exit(root, exit_, ledger, entered.reason)


def _exit(
    root: Difference, closed: ClosedPosition, ledger: Sequence[LedgerEntry], entered: EnteredPrice
) -> LedgerEntry | None:
    """The line that takes what was held then, when it was closed; None where the ledger held nothing of it."""
    at = closed.closed_at or max((entry.at for entry in ledger), default=closed.opened_at) + timedelta(microseconds=1)
    held = position_at(ledger, at)
    if held.qty * (1 if closed.side == "long" else -1) <= 0:
        return None
    return LedgerEntry(
        at=at,
        order_key=f"{root.key}:{plain(entered.price)}",
        qty=-held.qty,
        price=entered.price,
        kind="correction",
        is_estimated=True,
        entered_by=entered.entered_by,
    )


def _book_exit(root: Difference, exit_: LedgerEntry, ledger: Sequence[LedgerEntry], reason: str) -> Proposal:
    trips = fold([*ledger, exit_])
    trip = next(trip for trip in trips if exit_.order_key in {entry.order_key for entry in trip.entries})
    facts = {
        "state": "closed",
        "entry_qty": plain(trip.entry_qty),
        "avg_entry_price": plain(trip.avg_entry_price),
        "avg_exit_price": plain(trip.avg_exit_price),
        "realized_pl": plain(trip.realized_pl),
    }
    line = book_line(root, exit_, position_at(ledger), reason=reason)
    return make_proposal(
        root,
        action="enter_exit_price",
        title=f"Book the exit of {plain(abs(exit_.qty))} {root.symbol} at {plain(exit_.price)}{told_as_entered(exit_)}",
        operations=[{**line, "at": exit_.at.isoformat()}],
        before={"position": root.local},
        broker={},
        after={"position": facts},
        about=[root],
    )
