"""Average-cost accounting: a ledger of fills and adjustments folded into round trips. Pure: no database, no clock.

A round trip goes from flat to flat. Buying adds to a long and takes from a short; what takes more than there is
closes the round trip and opens one on the other side at the same instant.

Nothing is rounded on the way: only totals are kept, in a context far wider than any price times any quantity.
At the end averages and costs are cut to 18 places; quantities are never cut, and realised profit is what the cash
says, so that no rounding of an average can make or lose money.

A split makes more or fewer shares of the same money: every quantity of the round trip so far is rescaled, every
price follows, and cost and profit stay what they are to the last digit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from typing import Literal, NamedTuple

Kind = Literal["fill", "opening", "correction", "average", "split", "transfer"]
Side = Literal["long", "short"]

#: Wide enough that its last digit never shows in a result.
WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_LAST_PLACE = Decimal("1e-18")
#: Brokers keep nine places of a share: what a split makes more of is no share.
_SMALLEST_SHARE = Decimal("1e-9")
#: No company splits its shares in larger numbers than these: 0.333333333333333333 stands for one of three.
_MOST_PARTS = 10_000
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line of the ledger. `order_key` (activity id or reference) decides between entries of the same instant.

    `qty` is signed: bought is positive. An entry of the kind "average" has none: it sets the average price of what
    is open, and realises nothing. One of the kind "split" has neither quantity nor price, but a `ratio`: so many
    new shares for one old share.
    """

    at: datetime
    order_key: str
    qty: Decimal
    price: Decimal
    kind: Kind = "fill"
    is_estimated: bool = False
    ratio: Decimal | None = None
    entered_by: str = ""  # the person whose number the price is
    price_at_broker: Decimal | None = None  # what the broker's average takes it to have cost, where that is another


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """From flat to flat, or to now.

    `qty` and `cost_basis` are signed, negative for a short; the other quantities are not. `avg_entry_price` is of
    the open quantity, as brokers give it; of a closed round trip it is of all that was entered, so that
    `realized_pl` is the difference of both averages times the quantity.
    """

    sequence: int
    side: Side
    qty: Decimal
    entry_qty: Decimal
    avg_entry_price: Decimal
    cost_basis: Decimal
    exit_qty: Decimal
    avg_exit_price: Decimal | None
    realized_pl: Decimal
    opened_at: datetime
    closed_at: datetime | None
    is_estimated: bool
    entries: tuple[LedgerEntry, ...]
    entered_by: str = ""  # whose numbers are in it

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


class NetPosition(NamedTuple):
    """What is held: a signed quantity, and its average price unless flat."""

    qty: Decimal
    avg_entry_price: Decimal | None


def fold(entries: Iterable[LedgerEntry]) -> list[RoundTrip]:
    """Return the round trips of one symbol, oldest first. The order in which entries are given does not matter."""
    trips: list[_Trip] = []
    with localcontext(WIDE):
        for entry in sorted(entries, key=_ledger_order):
            _book(entry, trips)
        return [trip.result(sequence) for sequence, trip in enumerate(trips, start=1)]


def position_at(entries: Iterable[LedgerEntry], at: datetime | None = None) -> NetPosition:
    """Return what was held after everything up to and including `at`, or after the whole ledger."""
    trips = fold(entry for entry in entries if at is None or entry.at <= at)
    if trips and trips[-1].is_open:
        return NetPosition(trips[-1].qty, trips[-1].avg_entry_price)
    return NetPosition(_ZERO, None)


def as_broker_counts(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return the ledger with the broker's own prices where a person entered another: its average follows from those."""
    return [
        entry if entry.price_at_broker is None else replace(entry, price=entry.price_at_broker) for entry in entries
    ]


def split_factor(ratio: Decimal) -> Fraction:
    """Return the exact ratio that a decimal stands for: no decimal spells one new share for three old ones."""
    exact = Fraction(ratio)
    near = exact.limit_denominator(_MOST_PARTS)
    return near if abs(near - exact) * 10**15 <= near else exact


def times(qty: Decimal, factor: Fraction) -> Decimal:
    """Return what a split makes of a quantity, in shares as brokers keep them."""
    with localcontext(WIDE):
        scaled = qty * factor.numerator / factor.denominator
        if scaled != scaled.quantize(_LAST_PLACE):  # thirds, and the like
            scaled = scaled.quantize(_SMALLEST_SHARE) or scaled
        return _plain(scaled)


def _ledger_order(entry: LedgerEntry) -> tuple[datetime, str, str, Decimal, Decimal]:
    # Past the two keys only so that entries which share them still fold alike in every order of arrival.
    return entry.at, entry.order_key, entry.kind, entry.qty, entry.price


@dataclass(slots=True)
class _Trip:
    """A round trip under way. Signed like the ledger: `cost` is what the open quantity cost."""

    opened_at: datetime
    closed_at: datetime | None = None
    qty: Decimal = _ZERO
    cost: Decimal = _ZERO
    cash: Decimal = _ZERO
    restated: Decimal = _ZERO  # cost that explicit changes of the average added
    entered_qty: Decimal = _ZERO
    entered_cost: Decimal = _ZERO
    left_qty: Decimal = _ZERO
    left_value: Decimal = _ZERO
    entries: list[LedgerEntry] = field(default_factory=list)
    came_by: set[str] = field(default_factory=set)  # whose numbers are in the average entry, and in the exit
    left_by: set[str] = field(default_factory=set)

    def enter(self, entry: LedgerEntry) -> None:
        value = entry.qty * entry.price
        self.qty += entry.qty
        self.cost += value
        self.cash -= value
        self.entered_qty += entry.qty
        self.entered_cost += value
        self.came_by.add(entry.entered_by)
        self.entries.append(entry)

    def leave(self, entry: LedgerEntry) -> None:
        value = entry.qty * entry.price
        remaining = self.qty + entry.qty
        self.cost = self.cost * remaining / self.qty if remaining else _ZERO
        self.qty = remaining
        self.cash -= value
        self.left_qty += entry.qty
        self.left_value += value
        self.left_by.add(entry.entered_by)
        self.entries.append(entry)
        if not remaining:
            self.closed_at = entry.at

    def restate(self, entry: LedgerEntry) -> None:
        cost = self.qty * entry.price
        self.restated += cost - self.cost
        self.cost = cost
        self.came_by = {entry.entered_by}
        self.entries.append(entry)

    def split(self, entry: LedgerEntry) -> None:
        if entry.ratio is None or entry.ratio <= 0:
            raise ValueError(f"The split {entry.order_key} has no ratio.")
        factor = split_factor(entry.ratio)
        self.qty = times(self.qty, factor)
        self.left_qty = times(self.left_qty, factor)
        self.entered_qty = self.qty - self.left_qty
        self.entries.append(entry)

    def result(self, sequence: int) -> RoundTrip:
        cost, restated = _cut(self.cost), _cut(self.restated)
        if self.closed_at is None:
            average = self.cost / self.qty
        else:
            average = (self.entered_cost + self.restated) / self.entered_qty
        return RoundTrip(
            sequence=sequence,
            side="long" if self.entered_qty > 0 else "short",
            qty=_plain(self.qty),
            entry_qty=_plain(abs(self.entered_qty)),
            avg_entry_price=_cut(average),
            cost_basis=cost,
            exit_qty=_plain(abs(self.left_qty)),
            avg_exit_price=_cut(self.left_value / self.left_qty) if self.left_qty else None,
            realized_pl=_plain(self.cash + cost - restated),
            opened_at=self.opened_at,
            closed_at=self.closed_at,
            is_estimated=any(entry.is_estimated for entry in self.entries),
            entries=tuple(self.entries),
            entered_by=", ".join(sorted((self.came_by | self.left_by) - {""})),
        )


def _book(entry: LedgerEntry, trips: list[_Trip]) -> None:
    trip = trips[-1] if trips and trips[-1].closed_at is None else None
    if entry.kind == "average":
        if trip is not None:
            trip.restate(entry)
        return
    if entry.kind == "split":
        if trip is not None:
            trip.split(entry)
        return
    if not entry.qty:
        return
    if trip is not None and (trip.qty > 0) != (entry.qty > 0):
        leaving = entry.qty if abs(entry.qty) <= abs(trip.qty) else -trip.qty
        trip.leave(replace(entry, qty=leaving))
        if leaving == entry.qty:
            return
        entry, trip = replace(entry, qty=entry.qty - leaving), None
    if trip is None:
        trip = _Trip(opened_at=entry.at)
        trips.append(trip)
    trip.enter(entry)


def _cut(number: Decimal) -> Decimal:
    return _plain(number.quantize(_LAST_PLACE))


def _plain(number: Decimal) -> Decimal:
    """Return the number spelled in one way only: no trailing zeros, no exponent, no negative zero."""
    short = number.normalize() + _ZERO
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else short
