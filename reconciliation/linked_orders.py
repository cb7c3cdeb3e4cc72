"""Differences about an order that both sides have: its state, what was filled, its fills, its terms. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerFill, BrokerOrder
from orders.lifecycle import KNOWN_STATUSES, is_terminal
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalFill, LocalOrder
from reconciliation.kinds import Kind
from reconciliation.order_conditions import stuck_since
from reconciliation.terms import GRAVE_TERMS, differing_terms, spell_terms, term_in_words
from reconciliation.wording import count_of, dollars_of, fills_in_words, name_of, order_facts, spell_fill

#: Ends that leave something unfilled. What is filled after one of them came late.
_ENDED_UNFILLED = frozenset({"canceled", "expired", "rejected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """An order on both sides, with the fills of each."""

    ours: LocalOrder
    theirs: BrokerOrder
    new: tuple[BrokerFill, ...]  # not in our books
    absent: tuple[LocalFill, ...]  # in our books, and not at Alpaca
    total: Decimal  # of our fills that Alpaca has, by its values

    @classmethod
    def of(
        cls,
        ours: LocalOrder,
        theirs: BrokerOrder,
        booked: Mapping[str, LocalFill],
        fills: tuple[BrokerFill, ...],
        absent: frozenset[str],
    ) -> "Linked":
        # A fill that differs is a difference of its own; the order's sum is Alpaca's.
        known = {fill.activity_id: fill.qty for fill in fills}
        kept = [known.get(fill.activity_id, fill.qty) for fill in booked.values() if fill.activity_id not in absent]
        return cls(
            ours=ours,
            theirs=theirs,
            new=tuple(fill for fill in fills if fill.activity_id not in booked),
            absent=tuple(fill for fill in booked.values() if fill.activity_id in absent),
            total=sum(kept, Decimal(0)),
        )

    @property
    def new_total(self) -> Decimal:
        return self.total + sum((fill.qty for fill in self.new), Decimal(0))

    @property
    def is_known_status(self) -> bool:
        return self.theirs.status in KNOWN_STATUSES

    @property
    def fills_are_complete(self) -> bool:
        """Alpaca lists all that the order says; an end of ours is not copied over by a word that nobody knows."""
        takes_back = is_terminal(self.ours.status) and not self.is_known_status
        return self.new_total == self.theirs.filled_qty and not takes_back

    @property
    def filled_late(self) -> bool:
        if self.ours.status not in _ENDED_UNFILLED or not is_terminal(self.theirs.status):
            return False
        return self.theirs.filled_qty > self.ours.filled_qty or (
            bool(self.new) and self.new_total > self.ours.filled_qty
        )

    def facts(self) -> dict[str, Any]:
        return {
            "subject": self.theirs.broker_order_id,
            "symbol": self.theirs.symbol,
            "order_pk": self.ours.pk,
            "broker_order": self.theirs,
            "new_fills": self.new,
            "fills_are_complete": self.fills_are_complete,
            "holds_cursor_at": self.theirs.submitted_at,
            "local": order_facts(self.ours),
            "broker": order_facts(self.theirs),
            "dollars": dollars_of(self.theirs, self.new),
        }


def compare_linked(linked: Linked, evidence: BrokerEvidence) -> Iterator[Difference]:
    yield from _compare_conditions(linked, evidence)
    yield from _compare_state(linked)
    yield from _compare_filled(linked)
    yield from _compare_fills(linked)
    yield from _compare_terms(linked)


def _compare_conditions(linked: Linked, evidence: BrokerEvidence) -> Iterator[Difference]:
    """What is wrong with the order at Alpaca, whatever our books say of it."""
    theirs, name = linked.theirs, name_of(linked.theirs)
    facts = linked.facts() | {"broker_order": None, "new_fills": (), "dollars": dollars_of(theirs, ())}
    if not linked.is_known_status:
        text = (
            f"Alpaca says {theirs.status!r} of {name}, a word that this program does not know. It is kept as it came; "
            "nothing is concluded from it."
        )
        yield Difference(kind=Kind.UNKNOWN_STATUS, sentence=text, **facts)
    if (since := stuck_since(theirs, evidence)) is not None:
        text = (
            f"{name} has been {theirs.status.replace('_', ' ')} since {since:%H:%M} UTC with the market open: it "
            "should have left that state long ago."
        )
        yield Difference(kind=Kind.STUCK_ORDER, sentence=text, **facts | {"holds_cursor_at": None})


def _compare_state(linked: Linked) -> Iterator[Difference]:
    ours, theirs, name = linked.ours, linked.theirs, name_of(linked.theirs)
    if linked.filled_late:
        text = (
            f"{name} was {ours.status} for us, and filled all the same: {plain(theirs.filled_qty)} at Alpaca, "
            f"{plain(ours.filled_qty)} in the database."
        )
        yield Difference(kind=Kind.LATE_FILL, sentence=text, **linked.facts())
    if ours.status == theirs.status or not linked.is_known_status:
        return
    if is_terminal(ours.status) and not is_terminal(theirs.status):
        text = f"{name} is {ours.status} here but still {theirs.status} at Alpaca, where it can fill."
        yield Difference(kind=Kind.ZOMBIE_ORDER, sentence=text, **linked.facts())
    else:
        text = f"{name} is {theirs.status} at Alpaca; the database still says {ours.status or 'nothing'}."
        yield Difference(kind=Kind.STATUS_BEHIND, sentence=text, **linked.facts())


def _compare_filled(linked: Linked) -> Iterator[Difference]:
    ours, theirs = linked.ours, linked.theirs
    if ours.filled_qty == theirs.filled_qty:
        return
    text = f"Alpaca filled {plain(theirs.filled_qty)} of {name_of(theirs)}; the database says {plain(ours.filled_qty)}."
    if theirs.qty is not None and theirs.filled_qty > theirs.qty:
        text += " That is more than was ordered."
    kind = Kind.FILLED_QTY_BEHIND if ours.filled_qty < theirs.filled_qty else Kind.FILLED_QTY_AHEAD
    yield Difference(kind=kind, sentence=text, **linked.facts())


def _compare_fills(linked: Linked) -> Iterator[Difference]:
    theirs, facts = linked.theirs, linked.facts()
    if linked.new:
        facts |= {"local": {"fills": []}, "broker": {"fills": [spell_fill(fill) for fill in linked.new]}}
        text = f"{count_of(len(linked.new), 'fill')} of {name_of(theirs)} not recorded: {fills_in_words(linked.new)}."
        yield Difference(kind=Kind.MISSING_FILL, sentence=text, **facts)
    elif linked.total != theirs.filled_qty:
        facts |= {"local": {"fills_sum": plain(linked.total)}, "broker": {"fills_sum": plain(theirs.filled_qty)}}
        why = "Alpaca lists no other: the rest may appear with a later read."
        if linked.total > theirs.filled_qty:
            why = "One of them is not so, or belongs to another order; a full run names it."
        text = (
            f"The fills of {name_of(theirs)} add up to {plain(linked.total)}, but the order is filled for "
            f"{plain(theirs.filled_qty)}. {why}"
        )
        yield Difference(kind=Kind.FILL_SUM_MISMATCH, sentence=text, **facts)


def _compare_terms(linked: Linked) -> Iterator[Difference]:
    ours, theirs = linked.ours.terms, linked.theirs
    if ours is None:
        return
    names = differing_terms(ours, theirs)
    if not names:
        return
    there = spell_terms(theirs)
    said = ", ".join(term_in_words(name, ours[name], there[name]) for name in names)
    grave = " This is another order than the one that was wanted." if GRAVE_TERMS & set(names) else ""
    still = "has ended" if is_terminal(theirs.status) else "can still fill"
    facts = linked.facts() | {
        "local": {name: ours[name] for name in names},
        "broker": {name: there[name] for name in names},
        "new_fills": (),
        "dollars": dollars_of(theirs, ()),
    }
    yield Difference(
        kind=Kind.TERMS_DIFFER,
        sentence=f"{name_of(theirs)} is at Alpaca with other terms than were recorded: {said}. It {still}.{grave}",
        **facts,
    )
