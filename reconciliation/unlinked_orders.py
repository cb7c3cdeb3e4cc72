"""Differences about orders at Alpaca that no row of ours is linked to. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerActivity, BrokerFill, BrokerOrder
from orders.lifecycle import is_terminal
from reconciliation.broker_cause import broker_cause
from reconciliation.difference import Difference
from reconciliation.evidence import LocalOrder
from reconciliation.kinds import Kind
from reconciliation.terms import differing_terms, spell_terms, term_in_words
from reconciliation.wording import dollars_of, fills_in_words, name_of, order_facts, spell_fill

_IN_THE_NAME = frozenset({"side", "qty", "notional"})


def found(ours: LocalOrder, theirs: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Difference:
    """A submit without an answer, which Alpaca has."""
    return Difference(
        kind=Kind.UNCONFIRMED_SUBMIT,
        subject=ours.client_order_id,
        sentence=f"{name_of(theirs)} was sent without an answer being recorded. Alpaca has it: {theirs.status}.",
        **_facts(theirs, fills, ours),
    )


def replacing(ours: LocalOrder, theirs: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Difference:
    return Difference(
        kind=Kind.REPLACE_CHAIN,
        subject=theirs.broker_order_id,
        sentence=(
            f"{ours.side} {plain(ours.qty) or ''} {ours.symbol} was replaced at Alpaca by {name_of(theirs)}"
            f"{_otherwise(ours, theirs)}, which is not recorded: {theirs.status}."
        ),
        **_facts(theirs, fills, ours),
    )


def _otherwise(ours: LocalOrder, theirs: BrokerOrder) -> str:
    """What the new order has otherwise, but for what its name says."""
    if ours.terms is None:
        return ""
    there = spell_terms(theirs)
    names = [name for name in differing_terms(ours.terms, theirs) if name not in _IN_THE_NAME]
    words = ", ".join(term_in_words(name, ours.terms[name], there[name]) for name in names)
    return f" ({words})" if words else ""


def refused(ours: LocalOrder, theirs: BrokerOrder) -> Difference:
    """Alpaca took a replacement and rejected it a moment later; the order that it was for stays."""
    return Difference(
        kind=Kind.REFUSED_CHANGE,
        subject=theirs.broker_order_id,
        sentence=(
            f"Alpaca refused to replace {ours.side} {plain(ours.qty) or ''} {ours.symbol} by {name_of(theirs)}. "
            "The order stands as it was, under its old terms."
        ),
        **_facts(theirs, (), ours),
    )


def sent_twice(theirs: BrokerOrder, first: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Difference:
    """The same order again within seconds, and no second wish of ours behind it."""
    return Difference(
        kind=Kind.DUPLICATE_SUBMISSION,
        subject=theirs.broker_order_id,
        sentence=twice_in_words(theirs, first),
        **_facts(theirs, fills, None),
    )


def twice_in_words(theirs: BrokerOrder, first: BrokerOrder) -> str:
    seconds = ""
    if theirs.submitted_at is not None and first.submitted_at is not None:
        seconds = f" {abs((theirs.submitted_at - first.submitted_at).total_seconds()):.1f} seconds apart"
    rest = "what it filled stays" if is_terminal(theirs.status) else "it can still fill"
    return (
        f"{name_of(theirs)} is at Alpaca twice{seconds}, for one order of ours: {first.client_order_id} "
        f"is {first.status}, {theirs.client_order_id} is {theirs.status}; {rest}."
    )


def unrecorded(
    theirs: BrokerOrder, fills: tuple[BrokerFill, ...], activities: Sequence[BrokerActivity], *, is_own: bool
) -> Difference:
    cause = "" if is_own else broker_cause(theirs, activities)
    if is_own:
        kind = Kind.OUR_ORDER_UNLINKED
        said = f"Our order to {name_of(theirs)} is {theirs.status} at Alpaca but is not in the database"
    elif cause:
        kind = Kind.BROKER_GENERATED_ORDER
        said = f"Alpaca itself placed an order ({cause}): {name_of(theirs)}, {theirs.status}"
    else:
        kind = Kind.EXTERNAL_ORDER
        said = f"Somebody placed an order outside this program: {name_of(theirs)}, {theirs.status}"
    facts = _facts(theirs, fills, None)
    if cause:
        facts["broker"] = {**facts["broker"], "cause": cause}
    return Difference(
        kind=kind,
        subject=theirs.broker_order_id,
        sentence=f"{said}{': ' + fills_in_words(fills) if fills else ''}.",
        **facts,
    )


def _facts(theirs: BrokerOrder, fills: tuple[BrokerFill, ...], ours: LocalOrder | None) -> dict[str, Any]:
    return {
        "symbol": theirs.symbol,
        "local": order_facts(ours) if ours else {},
        "broker": order_facts(theirs) | {"fills": [spell_fill(fill) for fill in fills]},
        "dollars": dollars_of(theirs, fills),
        "order_pk": ours.pk if ours else None,
        "broker_order": theirs,
        "new_fills": fills,
        "fills_are_complete": sum((fill.qty for fill in fills), Decimal(0)) == theirs.filled_qty,
        "holds_cursor_at": theirs.submitted_at,
    }
