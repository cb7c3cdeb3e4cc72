"""Working orders whose terms a split has changed at Alpaca: they follow from it, and are copied with it. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from broker.numbers import exact, exact_or_none, plain
from positions.accounting import LedgerEntry
from positions.exact_numbers import split_factor
from positions.risk import tick_of
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence
from reconciliation.kinds import Kind
from reconciliation.proposals import Operation
from reconciliation.terms import Terms, spell_terms

_PRICES = ("limit_price", "stop_price", "trail_price")


def terms_after_splits(differences: Sequence[Difference], evidence: BrokerEvidence) -> dict[str, str | None]:
    """Return the split behind every order whose terms differ by its ratio and by nothing else."""
    splits = {d.symbol: d for d in differences if d.kind == Kind.SPLIT and d.explains}
    found: dict[str, str | None] = {}
    for difference in differences:
        split, order = splits.get(difference.symbol), evidence.orders.get(difference.subject)
        if difference.kind == Kind.TERMS_DIFFER and split is not None and order is not None:
            theirs = spell_terms(order)
            ours = {**theirs, **difference.local}
            if any(follows(ours, theirs, ratio, difference.local) for ratio in _ratios(split.entries)):
                found[difference.key] = split.key
    return found


def copies_of_terms(followers: Sequence[Difference]) -> list[Operation]:
    """The operations that take over the terms of the orders which follow from a split."""
    return [
        {
            "op": "accept_terms",
            "order_pk": d.order_pk,
            "symbol": d.symbol,
            "said": dict(d.local),
            "terms": dict(d.broker),
        }
        for d in followers
        if d.kind == Kind.TERMS_DIFFER
    ]


def _ratios(entries: Sequence[LedgerEntry]) -> list[Fraction]:
    """An order may stand since before the first of several splits, or have come between them."""
    ratio, found = Fraction(1), []
    for entry in reversed(entries):
        if entry.kind == "split" and entry.ratio is not None:
            ratio *= split_factor(entry.ratio)
            found.append(ratio)
    return found


def follows(ours: Terms, theirs: Terms, ratio: Fraction, differing: Mapping[str, str | None]) -> bool:
    """Whether the quantity moved by the ratio, every price against it to the tick, and nothing else moved."""
    if not set(differing) <= {"qty", *_PRICES}:
        return False
    if not _times(ours["qty"], ratio, theirs["qty"]):
        return False
    return all(_divided(ours[name], ratio, theirs[name]) for name in _PRICES)


def _times(qty: str | None, ratio: Fraction, there: str | None) -> bool:
    if qty is None or there is None:
        return qty == there
    return Fraction(exact(qty)) * ratio == Fraction(exact(there))


def _divided(price: str | None, ratio: Fraction, there: str | None) -> bool:
    was, becomes = exact_or_none(price), exact_or_none(there)
    if was is None or becomes is None:
        return was == becomes
    return abs(Fraction(was) / ratio - Fraction(becomes)) < Fraction(tick_of(becomes))


def orders_in_words(followers: Sequence[Difference]) -> tuple[dict[str, str], dict[str, str]]:
    """Both sides of the orders, by their ids, as a fix shows them."""
    orders = [d for d in followers if d.kind == Kind.TERMS_DIFFER]
    return _spelled({d.subject: d.local for d in orders}), _spelled({d.subject: d.broker for d in orders})


def _spelled(orders: Mapping[str, Mapping[str, str | None]]) -> dict[str, str]:
    return {
        order: ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in terms.items())
        for order, terms in orders.items()
    }


def _number(value: str | None) -> str:
    return (plain(Decimal(value)) or "none") if value else "none"
