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
from decimal import Decimal, localcontext
from itertools import islice
from operator import attrgetter, lt
from typing import Literal, NamedTuple

from positions.exact_numbers import WIDE, cut, plain, split_factor, times

Kind = Literal["fill", "opening", "correction", "average", "split", "transfer"]
Side = Literal["long", "short"]

_ZERO = Decimal(0)
_AT = attrgetter("at")
_NOBODY: frozenset[str] = frozenset()


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


class RoundTrip(NamedTuple):
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
    trips: list[RoundTrip] = []
    trip: _Trip | None = None
    with localcontext(WIDE):
        ledger = _in_order(entries)
        number = 0
        while number < len(ledger):
            trip = _book(ledger[number], trip, trips)
            number += 1
            if trip is not None:
                number += trip.go_on(ledger, number)
        if trip is not None:
            trips.append(trip.result(len(trips) + 1))
    return trips


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


def _in_order(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    found = entries if isinstance(entries, list) else list(entries)
    moments = list(map(_AT, found))
    if all(map(lt, moments, islice(moments, 1, None))):  # as the database usually gives them
        return found
    return sorted(found, key=_ledger_order)


def _ledger_order(entry: LedgerEntry) -> tuple[datetime, str, str, Decimal, Decimal]:
    # Past the two keys only so that entries which share them still fold alike in every order of arrival.
    return entry.at, entry.order_key, entry.kind, entry.qty, entry.price


@dataclass(slots=True)
class _Trip:
    """A round trip under way. Signed like the ledger.

    What the open quantity cost is `basis × qty ÷ basis_qty`: leaving changes the quantity alone, and is not divided
    by again and again. What was entered in shares is what is open less what was left.
    """

    opened_at: datetime
    is_short: bool
    closed_at: datetime | None = None
    qty: Decimal = _ZERO
    basis: Decimal = _ZERO
    basis_qty: Decimal = _ZERO
    restated: Decimal = _ZERO  # cost that explicit changes of the average added
    entered_cost: Decimal = _ZERO
    left_qty: Decimal = _ZERO
    left_value: Decimal = _ZERO
    entries: list[LedgerEntry] = field(default_factory=list)
    is_estimated: bool = False
    came_by: frozenset[str] = _NOBODY  # whose numbers are in the average entry, and in the exit
    left_by: frozenset[str] = _NOBODY

    @property
    def cost(self) -> Decimal:
        if self.qty is self.basis_qty:
            return self.basis
        return self.basis * self.qty / self.basis_qty if self.qty else _ZERO

    def go_on(self, ledger: list[LedgerEntry], start: int) -> int:
        """Take plain fills, which nearly all entries are, while they neither end nor turn the round trip.

        Return how many were taken. The same sums as below, but in local variables, and added up only where buying
        and selling take turns: a long ledger is folded anew with every fill.
        """
        qty = counted = self.qty  # `counted`: what was left until then is in `left_qty`
        basis, basis_qty, is_short = self.basis, self.basis_qty, self.is_short
        entered_cost, left_qty, left_value, added = self.entered_cost, self.left_qty, self.left_value, _ZERO
        end = start
        for end in range(start, len(ledger)):
            entry = ledger[end]
            more = entry.qty
            if entry.kind != "fill" or entry.is_estimated or entry.entered_by or not more:
                break
            if more.is_signed() is is_short:
                if qty is not basis_qty:
                    basis, entered_cost = (basis + added) * qty / basis_qty, entered_cost + added
                    left_qty, added = left_qty + qty - counted, _ZERO
                added += more * entry.price
                qty = basis_qty = counted = qty + more
            else:
                remaining = qty + more
                if not remaining or remaining.is_signed() is not is_short:
                    break
                left_value += more * entry.price
                qty = remaining
        else:
            end = len(ledger)
        self.qty, self.basis, self.basis_qty = qty, basis + added, basis_qty
        self.entered_cost, self.left_qty, self.left_value = entered_cost + added, left_qty + qty - counted, left_value
        self.entries += ledger[start:end]
        return end - start

    def enter(self, entry: LedgerEntry) -> None:
        value = entry.qty * entry.price
        self.basis = (self.basis if self.qty is self.basis_qty else self.cost) + value
        self.qty = self.basis_qty = self.qty + entry.qty
        self.entered_cost += value
        if entry.entered_by:
            self.came_by |= _named(entry)
        self._keep(entry)

    def leave(self, entry: LedgerEntry, remaining: Decimal) -> None:
        self.qty = remaining
        self.left_qty += entry.qty
        self.left_value += entry.qty * entry.price
        if entry.entered_by:
            self.left_by |= _named(entry)
        self._keep(entry)
        if not remaining:
            self.closed_at = entry.at

    def restate(self, entry: LedgerEntry) -> None:
        cost = self.qty * entry.price
        self.restated += cost - self.cost
        self.basis, self.basis_qty = cost, self.qty
        self.came_by = _named(entry)
        self._keep(entry)

    def split(self, entry: LedgerEntry) -> None:
        if entry.ratio is None or entry.ratio <= 0:
            raise ValueError(f"The split {entry.order_key} has no ratio.")
        factor = split_factor(entry.ratio)
        self.basis = self.cost
        self.qty = self.basis_qty = times(self.qty, factor)
        self.left_qty = times(self.left_qty, factor)
        self._keep(entry)

    def _keep(self, entry: LedgerEntry) -> None:
        self.entries.append(entry)
        self.is_estimated |= entry.is_estimated

    def result(self, sequence: int) -> RoundTrip:
        cost = cut(self.cost) if self.qty else _ZERO
        paid = self.entered_cost + cut(self.restated) if self.restated else self.entered_cost
        left_qty = plain(abs(self.left_qty))
        if self.closed_at is None:
            entry_qty = plain(abs(self.qty - self.left_qty))
            average = self.basis / self.basis_qty
        else:
            entry_qty = left_qty  # all of it has left
            average = (self.entered_cost + self.restated) / -self.left_qty
        return RoundTrip(
            sequence,
            "short" if self.is_short else "long",
            qty=plain(self.qty),
            entry_qty=entry_qty,
            avg_entry_price=cut(average),
            cost_basis=cost,
            exit_qty=left_qty,
            avg_exit_price=cut(self.left_value / self.left_qty) if left_qty else None,
            realized_pl=plain(cost - paid - self.left_value),
            opened_at=self.opened_at,
            closed_at=self.closed_at,
            is_estimated=self.is_estimated,
            entries=tuple(self.entries),
            entered_by=", ".join(sorted(self.came_by | self.left_by)) if self.came_by or self.left_by else "",
        )


def _part(entry: LedgerEntry, qty: Decimal) -> LedgerEntry:
    """The same entry for so many shares; of `replace` a turned position would feel the cost."""
    return LedgerEntry(
        at=entry.at,
        order_key=entry.order_key,
        qty=qty,
        price=entry.price,
        kind=entry.kind,
        is_estimated=entry.is_estimated,
        ratio=entry.ratio,
        entered_by=entry.entered_by,
        price_at_broker=entry.price_at_broker,
    )


def _named(entry: LedgerEntry) -> frozenset[str]:
    return frozenset((entry.entered_by,)) if entry.entered_by else _NOBODY


def _book(entry: LedgerEntry, trip: _Trip | None, ended: list[RoundTrip]) -> _Trip | None:
    """Book one entry of any kind; return the round trip that is open after it, and add one that ended to `ended`."""
    if entry.kind in {"average", "split"}:
        if trip is not None:
            (trip.restate if entry.kind == "average" else trip.split)(entry)
        return trip
    if not entry.qty:
        return trip
    is_short = entry.qty.is_signed()
    if trip is not None and trip.is_short is not is_short:
        remaining = trip.qty + entry.qty
        if remaining and remaining.is_signed() is trip.is_short:
            trip.leave(entry, remaining)
            return trip
        trip.leave(_part(entry, -trip.qty) if remaining else entry, _ZERO)
        ended.append(trip.result(len(ended) + 1))
        if not remaining:
            return None
        entry, trip = _part(entry, remaining), None
    trip = trip or _Trip(opened_at=entry.at, is_short=is_short)
    trip.enter(entry)
    return trip
