"""Find the root cause of each difference. Pure.

Show causes, not symptoms: a missing order that explains a missing fill and a position is one item with two
consequences. A position difference is a consequence only when the new fills explain it to the last share.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from broker.types import BrokerFill
from positions.accounting import LedgerEntry, fold
from reconciliation.corporate_explanation import rescaled_causes, told_causes
from reconciliation.difference import Difference, Explained
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.ledger_entries import entry_of
from reconciliation.protection_explanation import protection_causes
from reconciliation.split_terms import terms_after_splits

#: About one order, from the deepest cause to the mere symptom.
ORDER_KINDS = (
    Kind.OUR_ORDER_UNLINKED,
    Kind.UNCONFIRMED_SUBMIT,
    Kind.REPLACE_CHAIN,
    Kind.EXTERNAL_ORDER,
    Kind.BROKER_GENERATED_ORDER,
    Kind.ORDER_MISSING_AT_BROKER,
    Kind.FILL_BUSTED,
    Kind.ZOMBIE_ORDER,
    Kind.LATE_FILL,
    Kind.FILLED_QTY_AHEAD,
    Kind.STATUS_BEHIND,
    Kind.FILLED_QTY_BEHIND,
    Kind.MISSING_FILL,
    Kind.FILL_SUM_MISMATCH,
)
POSITION_KINDS = frozenset(
    {
        Kind.POSITION_BROKER_ONLY,
        Kind.POSITION_DATABASE_ONLY,
        Kind.POSITION_QTY,
        Kind.POSITION_SIDE,
        Kind.POSITION_AVG_PRICE,
        Kind.PENDING_NEVER_FILLED,
    }
)


def explain(differences: list[Difference], record: LocalRecord, evidence: BrokerEvidence) -> list[Explained]:
    """Return every difference with the key of its root cause, or None where it is the root."""
    causes = _order_causes(differences)
    by_symbol: dict[str, list[Difference]] = defaultdict(list)
    for difference in differences:
        if difference.kind in ORDER_KINDS or difference.gone_fill or difference.new_fills:
            by_symbol[difference.symbol].append(difference)
    guesses = {d.symbol: d.key for d in differences if d.kind == Kind.INFERRED_SUPERSEDED}
    for difference in differences:
        others = by_symbol[difference.symbol]
        if difference.kind in POSITION_KINDS:
            cause = _position_cause(difference, others, causes, record, evidence)
            causes[difference.key] = cause or guesses.get(difference.symbol)
        elif difference.kind == Kind.CLOSED_WITHOUT_EXIT:
            # The exit is among what is not recorded yet.
            roots = [other for other in others if other.new_fills and causes.get(other.key) is None]
            causes[difference.key] = max(roots, key=_weight).key if roots else None
    causes |= told_causes(differences)
    causes |= protection_causes(differences, causes, record, evidence)
    causes |= rescaled_causes(differences)
    causes |= terms_after_splits(differences, evidence)
    return [Explained(difference=d, cause_key=causes.get(d.key)) for d in differences]


def _order_causes(differences: list[Difference]) -> dict[str, str | None]:
    """Within one order the deepest kind is the cause; in a replace chain, the new link of the chain."""
    by_order: dict[str, list[Difference]] = defaultdict(list)
    for difference in differences:
        if difference.kind in ORDER_KINDS:
            by_order[_order_of(difference)].append(difference)
    causes: dict[str, str | None] = {}
    for group in by_order.values():
        group.sort(key=lambda difference: ORDER_KINDS.index(difference.kind))
        for position, difference in enumerate(group):
            # Each fill that was taken back is taken out by a fix of its own.
            is_root = not position or difference.kind == Kind.FILL_BUSTED
            causes[difference.key] = None if is_root else group[0].key
    _fold_replaced(differences, causes)
    return causes


def _order_of(difference: Difference) -> str:
    order = difference.broker_order
    return order.broker_order_id if order else difference.subject


def _fold_replaced(differences: list[Difference], causes: dict[str, str | None]) -> None:
    """The old order's `replaced` status is what replacing looks like, not another fault."""
    replacements = {
        d.broker_order.replaces: d.key for d in differences if d.kind == Kind.REPLACE_CHAIN and d.broker_order
    }
    for difference in differences:
        order = difference.broker_order
        if difference.kind == Kind.STATUS_BEHIND and order and order.broker_order_id in replacements:
            cause = replacements[order.broker_order_id]
            for key, value in causes.items():
                if value == difference.key:
                    causes[key] = cause
            causes[difference.key] = cause


def _position_cause(
    difference: Difference,
    others: list[Difference],
    causes: Mapping[str, str | None],
    record: LocalRecord,
    evidence: BrokerEvidence,
) -> str | None:
    roots = [other for other in others if causes.get(other.key) is None]
    if not roots:
        return None
    if difference.kind == Kind.PENDING_NEVER_FILLED:
        return roots[0].key
    fills, gone = new_fills(others), {other.gone_fill for other in others} - {""}
    theirs = evidence.positions.get(difference.symbol)
    kept = tuple(entry for entry in record.ledgers.get(difference.symbol, ()) if entry.order_key not in gone)
    after = qty_after(kept, fills)
    if (fills or gone) and after == (theirs.qty if theirs else Decimal(0)):
        return max(roots, key=_weight).key
    return None


def new_fills(differences: Iterable[Difference]) -> list[BrokerFill]:
    """The fills that the ledger lacks, each once: several differences of one order carry the same."""
    return list({fill.activity_id: fill for d in differences for fill in d.new_fills}.values())


def _weight(root: Difference) -> tuple[Decimal, str]:
    """Of several causes the one that moved most shares is named; ties go by key, so that runs agree."""
    return (sum((fill.qty for fill in root.new_fills), Decimal(0)), root.key)


def qty_after(ledger: tuple[LedgerEntry, ...], fills: list[BrokerFill]) -> Decimal:
    trips = fold([*ledger, *map(entry_of, fills)])
    return trips[-1].qty if trips else Decimal(0)
