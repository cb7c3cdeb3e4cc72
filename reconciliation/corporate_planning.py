"""Plan the repair of what happened to shares without a trade: explicit entries in the ledger. Pure."""

from collections.abc import Sequence

from broker.numbers import plain
from positions.accounting import LedgerEntry
from positions.exact_numbers import split_factor
from reconciliation.cash_planning import copies_of
from reconciliation.difference import Difference
from reconciliation.entered_facts import entered_facts, told_as_entered
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.proposals import Operation, Proposal, make_proposal, position_columns
from reconciliation.split_terms import copies_of_terms, orders_in_words


def plan_corporate(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Propose the entries only where they lead to Alpaca's position exactly. They need a person."""
    if not root.entries or not root.explains:
        return None
    operations = [_book(root, root.symbol, entry, evidence) for entry in root.entries]
    operations += [_book(root, symbol, entry, evidence) for symbol, entry in root.entries_elsewhere]
    operations += copies_of(root.activities, record)
    operations += copies_of_terms(followers)
    before, after, broker = position_columns(root.symbol, [], record, evidence, extra=root.entries)
    said, theirs, becomes = {"position": before}, {"position": broker}, {"position": after}
    for symbol, entry in root.entries_elsewhere:
        before, after, broker = position_columns(symbol, [], record, evidence, extra=(entry,))
        said["new position"] = {"symbol": symbol, **before}
        theirs["new position"] = {"symbol": symbol, **broker}
        becomes["new position"] = {"symbol": symbol, **after}
    if any(follower.kind == Kind.TERMS_DIFFER for follower in followers):
        said["orders"], theirs["orders"] = orders_in_words(followers)
        becomes["orders"] = theirs["orders"]
    return make_proposal(
        root,
        action=_ACTIONS[root.kind],
        title=_title(root),
        operations=operations,
        before=said,
        broker=theirs,
        after=becomes,
        about=[root, *(f for f in followers if f.kind == Kind.TERMS_DIFFER)],
    )


_ACTIONS = {
    Kind.SPLIT: "book_split",
    Kind.SYMBOL_CHANGE: "change_symbol",
    Kind.TRANSFER: "book_transfer",
}


def _title(root: Difference) -> str:
    first = root.entries[0]
    if root.kind == Kind.SPLIT:
        ratio = split_factor(first.ratio) if first.ratio is not None else None
        return f"Split {root.symbol} {ratio.numerator} for {ratio.denominator}" if ratio else f"Split {root.symbol}"
    if root.kind == Kind.SYMBOL_CHANGE:
        return f"Carry {plain(abs(first.qty))} {root.symbol} over to {root.broker['symbol']}"
    sign = "+" if first.qty > 0 else ""
    return (
        f"Book the transfer of {sign}{plain(first.qty)} {root.symbol} at {plain(first.price)}{told_as_entered(first)}"
    )


def _book(root: Difference, symbol: str, entry: LedgerEntry, evidence: BrokerEvidence) -> Operation:
    """What Alpaca has not dated is booked behind everything that the ledger holds by then."""
    is_dated = entry.at < evidence.read_started_at and root.holds_cursor_at is not None
    return {
        "op": "book_entry",
        "kind": entry.kind,
        "symbol": symbol,
        "qty": plain(entry.qty),
        "price": plain(entry.price),
        "ratio": plain(entry.ratio),
        "at": entry.at.isoformat() if is_dated else "",
        "reference": entry.order_key,
        "reason": root.sentence,
        "is_estimated": entry.is_estimated,
        **entered_facts(entry),
    }
