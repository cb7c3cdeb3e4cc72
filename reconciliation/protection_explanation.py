"""Which difference in protection follows from another one. Pure."""

from collections.abc import Mapping

from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import KINDS, Kind

#: Alpaca's own facts prove it, whatever our books say of the symbol: it needs a repair of its own.
_PROVEN = frozenset({Kind.BROKEN_OCO, Kind.ORPHAN_EXIT, Kind.DOUBLE_PROTECTION})
#: What is wrong with how much is guarded comes before what is wrong with one stop.
_HOW_MUCH = (Kind.PARTIAL_BRACKET, Kind.NAKED_POSITION, Kind.DOUBLE_PROTECTION, Kind.STOP_QTY)
_BEFORE = ("identity", "order_state", "fills", "corporate", "positions")


def protection_causes(
    differences: list[Difference],
    causes: Mapping[str, str | None],
    record: LocalRecord,
    evidence: BrokerEvidence,
) -> dict[str, str | None]:
    """Return the cause of each difference in protection that has one.

    While our books hold another quantity than Alpaca, or none, the plan is about other shares: what makes the
    quantities differ is then the cause, and this is judged anew when they agree.
    """
    found: dict[str, str | None] = {}
    roots: dict[str, list[Difference]] = {}
    for difference in differences:
        if KINDS[difference.kind].group in _BEFORE and causes.get(difference.key) is None:
            roots.setdefault(difference.symbol, []).append(difference)
    for difference in _of_protection(differences):
        others = roots.get(difference.symbol, [])
        if difference.kind not in _PROVEN and others and not _holds_the_same(difference.symbol, record, evidence):
            found[difference.key] = min(
                others, key=lambda other: (_BEFORE.index(KINDS[other.kind].group), other.key)
            ).key
    for difference in _of_protection(differences):
        if difference.key not in found and difference.kind not in _HOW_MUCH and difference.kind not in _PROVEN:
            deeper = [
                other
                for other in differences
                if other.kind in _HOW_MUCH and other.symbol == difference.symbol and other.key not in found
            ]
            if deeper:
                found[difference.key] = min(deeper, key=lambda other: _HOW_MUCH.index(other.kind)).key
    return found


def _depth(other: Difference) -> tuple[int, str]:
    return (_BEFORE.index(KINDS[other.kind].group), other.key)


def is_protection(difference: Difference) -> bool:
    return KINDS[difference.kind].group == "protection"


def _of_protection(differences: list[Difference]) -> list[Difference]:
    return [difference for difference in differences if is_protection(difference)]


def _holds_the_same(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> bool:
    ours, theirs = record.positions.get(symbol), evidence.positions.get(symbol)
    return (ours.qty if ours else 0) == (theirs.qty if theirs else 0)
