"""The guide to every kind of difference: page and document are both made from it. Pure.

What can be derived is derived: severity, group and whether a policy may apply the repair come from `kinds.py`, and
whether there is a repair at all is held against the planners.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciliation.kind_entries_orders import EVIDENCE_ENTRIES, FILL_ENTRIES, IDENTITY_ENTRIES, STATE_ENTRIES
from reconciliation.kind_entries_positions import MONEY_ENTRIES, POSITION_ENTRIES, PROTECTION_ENTRIES
from reconciliation.kind_entry import KindEntry
from reconciliation.kinds import KINDS, Kind, KindFacts
from reconciliation.pair_planning import PAIR_PLANNERS
from reconciliation.planning import ADJUSTS_POSITION, COPIES_ORDER, PLANNERS
from reconciliation.protection_planning import PROTECTION_PLANNERS
from reconciliation.target_planning import SWAP_PLANNERS

ENTRIES: Mapping[Kind, KindEntry] = {
    **EVIDENCE_ENTRIES,
    **IDENTITY_ENTRIES,
    **STATE_ENTRIES,
    **FILL_ENTRIES,
    **POSITION_ENTRIES,
    **PROTECTION_ENTRIES,
    **MONEY_ENTRIES,
}
GROUPS: Mapping[str, str] = {
    "evidence": "Evidence",
    "identity": "Which order is which",
    "order_state": "State of orders",
    "fills": "Fills",
    "positions": "Positions",
    "protection": "Protection",
    "corporate": "Corporate actions and entries",
    "cash": "Cash",
}
#: `plan` repairs these by the difference itself, without a planner of their own.
_BY_DIFFERENCE = frozenset({Kind.PHANTOM_FILL, Kind.FILL_VALUES_DIFFER, Kind.PENDING_NEVER_FILLED})
#: `broker_choices` offers to cancel these beside the copy.
_SECOND_CHOICE = frozenset({Kind.ZOMBIE_ORDER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """One kind, with all that page and document say of it."""

    kind: Kind
    facts: KindFacts
    entry: KindEntry

    @property
    def automatic(self) -> str:
        if not self.entry.fix:
            return "–"
        if self.facts.is_safe_copy:
            return "Yes, where a policy says so: it copies what Alpaca says. By default a person approves."
        if self.entry.at_broker:
            return "Never: a person approves. What acts at Alpaca takes a permission of its own."
        return "Never: a person approves."

    @property
    def repair(self) -> str:
        without = f"None is proposed. {self.entry.no_fix}" if not self.entry.fix else ""
        also = f" No fix: {self.entry.no_fix[0].lower()}{self.entry.no_fix[1:]}" if self.entry.no_fix else ""
        return without or self.entry.fix + also


def guides() -> dict[str, list[Guide]]:
    """Every kind by the title of its group, in the order of `kinds.py`."""
    found: dict[str, list[Guide]] = {title: [] for title in GROUPS.values()}
    for kind, facts in KINDS.items():
        found[GROUPS[facts.group]].append(Guide(kind=kind, facts=facts, entry=ENTRIES[kind]))
    return found


def kinds_with_a_fix() -> frozenset[Kind]:
    """Every kind that `plan` can propose a fix for."""
    return COPIES_ORDER | ADJUSTS_POSITION | frozenset(PLANNERS) | _BY_DIFFERENCE


def kinds_repaired_at_broker() -> frozenset[Kind]:
    return frozenset(PROTECTION_PLANNERS) | frozenset(PAIR_PLANNERS) | frozenset(SWAP_PLANNERS) | _SECOND_CHOICE


def document() -> str:
    """The guide as Markdown: docs/drift-kinds.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Kinds of drift"
    yield ""
    yield "<!-- Made by `manage.py drift_kinds`. Change reconciliation/kind_entries_*.py, not this file. -->"
    yield ""
    yield (
        f"The {len(KINDS)} ways in which database and Alpaca can differ: how each is noticed, what repairs it, whether "
        "a policy may apply that by itself, how it is verified, and how it is undone."
    )
    yield "The same guide is in the product at `/reconciliation/kinds/`."
    yield ""
    yield "Every fix goes through the same steps: read again, write what was shown in one transaction, read to verify."
    yield (
        "More than an account's share of open positions at once, a time that a policy bars, and money that nothing "
        "explains need a reason of the person who approves."
    )
    for title, found in guides().items():
        yield ""
        yield f"## {title}"
        for guide in found:
            yield from _section(guide)


def _section(guide: Guide) -> Iterator[str]:
    yield ""
    yield f"### {guide.facts.title} (`{guide.kind.value}`)"
    yield ""
    yield f"- Severity: {guide.facts.severity.value}"
    yield f"- Noticed: {guide.entry.detected}"
    yield f"- Repair: {guide.repair}"
    yield f"- Automatic: {guide.automatic}"
    yield f"- Verified: {guide.entry.verified}"
    yield f"- Undone: {guide.entry.undone}"
