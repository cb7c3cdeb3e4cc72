"""Build the positions of a history that was just imported: block by block, where nothing is there to be compared with.

A symbol's ledger is cut where nothing is held, so that neither memory nor the time for which others wait for the
database grows with the history. What it writes is what `rebuild_positions` would: whenever somebody else wrote rows
of the symbol meanwhile, or there is more to it than fills, that does the work.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import Any

from django.db import IntegrityError, transaction

from broker.inserting import insert_rows
from broker.models import Account
from orders.models import Fill, Order
from orders.order_class import BRACKET
from positions.accounting import LedgerEntry, RoundTrip, fold
from positions.bracket_plan import BracketExits, exits_by_activity, exits_of
from positions.exact_numbers import WIDE
from positions.in_force import ParameterBook
from positions.models import Adjustment, Position
from positions.projecting import FACTS, LEVELS, PRICES, fill_in, without_position
from positions.rebuilding import entry_sides, rebuild_positions
from positions.turns import take_turn

#: Fills that are folded together, and written in one transaction: some ten milliseconds.
FILLS_AT_ONCE = 1000
_COLUMNS = ("symbol", "sequence", *FACTS, *LEVELS, *PRICES)
_values = attrgetter(*_COLUMNS)


def build_positions(*, account: Account, symbols: Iterable[str], now: datetime) -> None:
    """Bring the rows of these symbols in line with the ledger. Call it outside of transactions: it makes its own."""
    book, has_brackets = ParameterBook(account), _has_brackets(account)
    for symbol in sorted(set(symbols)):
        if not _build(account, symbol, book, now, has_brackets=has_brackets):
            rebuild_positions(account=account, symbols=[symbol], now=now)


def _build(account: Account, symbol: str, book: ParameterBook, now: datetime, *, has_brackets: bool) -> bool:
    """True when the symbol had nothing but fills, and all its rows were written here."""
    if Adjustment.objects.filter(account=account, symbol=symbol).exists():
        return False
    draft = _Draft(account, symbol, book, exits_by_activity(account, [symbol]) if has_brackets else {})
    count, is_open = 0, False
    try:
        for entries in _blocks(_ledger(account, symbol)):
            trips = fold(entries)
            rows = [draft.values(trip, count + trip.sequence) for trip in trips]
            with transaction.atomic():
                _go_on(account, symbol, count, now)
                _insert(account, rows, now)
            count, is_open = count + len(trips), trips[-1].is_open
        if not is_open:
            with transaction.atomic():
                _go_on(account, symbol, count, now)
                side = entry_sides(account, [symbol]).get(symbol)
                waiting = without_position(account, symbol, (), side, count + 1, now)
                _insert(account, map(_values, waiting), now)
    except (_OvertakenError, IntegrityError):
        return False
    return True


class _OvertakenError(Exception):
    """Somebody booked a fill of the symbol and rebuilt it all, or had begun to build it."""


def _go_on(account: Account, symbol: str, count: int, now: datetime) -> None:
    """Begin a block: the rows so far must be the last ones, and of this build.

    A fill that is booked meanwhile changes the last row or those that follow. What others wrote of the latter meets
    what is written here under the same numbers.
    """
    take_turn(account)
    mine = Position.objects.filter(account=account, symbol=symbol).order_by("-sequence")
    last = mine.values_list("sequence", "rebuilt_at").first()
    if last != ((count, now) if count else None):
        raise _OvertakenError


def _has_brackets(account: Account) -> bool:
    """Orders that came from Alpaca with the history do not say what the exits of a bracket were; ours do."""
    ours = Order.objects.filter(account=account, order_class=BRACKET, stop_loss_stop_price__isnull=False)
    return ours.order_by().exists()


class _Draft:
    """One row of a symbol, filled in for each trip: to make a row of each takes longer than folding it."""

    def __init__(
        self, account: Account, symbol: str, book: ParameterBook, brackets: Mapping[str, BracketExits]
    ) -> None:
        self._row = Position(account=account, symbol=symbol)
        self._blank = {name: getattr(self._row, name) for name in (*LEVELS, *PRICES)}
        self._book, self._brackets, self._moved_at = book, brackets, partial(book.moved_at, symbol)

    def values(self, trip: RoundTrip, sequence: int) -> tuple[Any, ...]:
        row = self._row
        row.sequence = sequence
        for name, value in self._blank.items():
            setattr(row, name, value)
        exits = exits_of(trip, self._brackets, self._moved_at) if self._brackets else None
        fill_in(row, trip, None, self._book.of_round_trip, exits)
        found: tuple[Any, ...] = _values(row)
        return found


def _insert(account: Account, rows: Iterable[tuple[Any, ...]], now: datetime) -> None:
    insert_rows(Position, _COLUMNS, rows, account_id=account.pk, rebuilt_at=now)


def _blocks(pages: Iterable[list[LedgerEntry]]) -> Iterator[list[LedgerEntry]]:
    """Cut the ledger where nothing is held; entries of one instant stay together, for their sequence is not known."""
    held: list[LedgerEntry] = []
    qty = Decimal(0)
    for page in pages:
        cut = 0
        for entry in page:
            if not qty and held and held[-1].at != entry.at:
                cut = len(held)
            held.append(entry)
            qty = WIDE.add(qty, entry.qty)
        if not qty:
            cut = len(held)
        if cut:
            yield held[:cut]
            held = held[cut:]
    if held:
        yield held


def _ledger(account: Account, symbol: str) -> Iterator[list[LedgerEntry]]:
    """The fills of a symbol by time, in pages: those of one instant are all in one."""
    mine = Fill.objects.filter(account=account, symbol=symbol).order_by("transaction_time")
    fills, most = mine, FILLS_AT_ONCE
    while True:
        rows = list(fills.values_list("transaction_time", "activity_id", "side", "qty", "price")[:most])
        is_last = len(rows) < most
        if not is_last:
            ends_at = rows[-1][0]
            rows = [row for row in rows if row[0] < ends_at]
            if not rows:
                most *= 2
                continue
            fills = mine.filter(transaction_time__gte=ends_at)
        yield [
            LedgerEntry(at=at, order_key=key, qty=qty if side == "buy" else -qty, price=price)
            for at, key, side, qty, price in rows
        ]
        if is_last:
            return
