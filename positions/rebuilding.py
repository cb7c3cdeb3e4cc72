"""Positions are rebuilt from the ledger: fills and adjustments, folded, compared with the rows, and written."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet

from broker.models import Account
from orders.alive import alive_at_broker
from orders.lifecycle import TERMINAL_STATUSES
from orders.models import Fill, Order
from orders.order_class import OCO
from positions.accounting import Kind, LedgerEntry, RoundTrip, Side, fold
from positions.bracket_plan import BracketExits, exits_by_activity, exits_of
from positions.in_force import ParameterBook
from positions.models import Adjustment, Position
from positions.projecting import FACTS, LEVELS, PRICES, project_symbol
from positions.turns import take_turn

#: Alpaca's words, in `position_intent`, for an order that opens nothing.
_CLOSING = frozenset({"sell_to_close", "buy_to_close"})
_WRITTEN = (*FACTS, *LEVELS, *PRICES)
#: SQLite takes at most 32,766 values in one statement; PostgreSQL plans long lists badly.
_IDS_IN_ONE_QUERY = 2000
Row = TypeVar("Row", bound=Model)
_KINDS: dict[str, Kind] = {
    "opening": "opening",
    "correction": "correction",
    "average": "average",
    "split": "split",
    "transfer": "transfer",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which a stored row is not what the ledger says; `row` when one side has no such row."""

    symbol: str
    sequence: int
    field: str
    stored: object
    computed: object


def rebuild_positions(*, account: Account, symbols: Iterable[str], now: datetime) -> int:
    """Bring the rows of these symbols in line with the ledger; return how many were written or removed.

    Call it inside the transaction that changed the ledger, as its last step. A second call writes nothing.
    """
    wanted = sorted(set(symbols))
    if not wanted:
        return 0
    with transaction.atomic():
        take_turn(account)
        stored = list(Position.objects.filter(account=account, symbol__in=wanted))
        return _write(stored, _project(account, wanted, stored, now), now)


def rebuild_position(*, account: Account, symbol: str, now: datetime) -> int:
    return rebuild_positions(account=account, symbols=[symbol], now=now)


def rebuild_after_fills(account: Account, symbols: set[str], now: datetime) -> None:
    """Follow whatever was booked on orders of these symbols (`orders.booking.after_fills`)."""
    rebuild_positions(account=account, symbols=symbols, now=now)


def compute_positions(account: Account, symbols: Collection[str] | None = None, *, now: datetime) -> list[Position]:
    """Return what the rows should be, unsaved, of all symbols by default. Writes nothing."""
    stored = list(_of_symbols(Position.objects.filter(account=account), symbols))
    return _project(account, symbols, stored, now)


def differences(stored: Iterable[Position], computed: Iterable[Position]) -> list[Difference]:
    """Compare the rows of one account as they are with what they should be. Pure."""
    ours = {(row.symbol, row.sequence): row for row in stored}
    due = {(row.symbol, row.sequence): row for row in computed}
    found = []
    for symbol, sequence in sorted(ours.keys() | due.keys()):
        old, new = ours.get((symbol, sequence)), due.get((symbol, sequence))
        if old is None or new is None:
            found.append(Difference(symbol, sequence, "row", old and old.state, new and new.state))
            continue
        for field in (*FACTS, *LEVELS):
            was, should_be = getattr(old, field), getattr(new, field)
            if was != should_be:
                found.append(Difference(symbol, sequence, field, was, should_be))
    return found


def ledger_of(account: Account, symbols: Collection[str] | None = None) -> dict[str, list[LedgerEntry]]:
    """Return the ledger by symbol, in two queries. Without `symbols`: all of the account."""
    ledger: dict[str, list[LedgerEntry]] = defaultdict(list)
    fills = _of_symbols(Fill.objects.filter(account=account), symbols)
    columns = ("symbol", "transaction_time", "activity_id", "side", "qty", "price")
    for symbol, at, key, side, qty, price in fills.order_by().values_list(*columns):
        ledger[symbol].append(LedgerEntry(at=at, order_key=key, qty=qty if side == "buy" else -qty, price=price))
    for line in _of_symbols(Adjustment.objects.filter(account=account), symbols).order_by():
        ledger[line.symbol].append(
            LedgerEntry(
                at=line.effective_at,
                order_key=line.reference,
                qty=line.qty,
                price=line.price,
                kind=_KINDS[line.kind],
                is_estimated=line.is_estimated,
                ratio=line.ratio,
                entered_by=line.entered_by,
                price_at_broker=line.price_at_broker,
            )
        )
    return dict(ledger)


def _of_symbols(rows: "QuerySet[Row]", symbols: Collection[str] | None) -> "QuerySet[Row]":
    return rows if symbols is None else rows.filter(symbol__in=symbols)


def _project(
    account: Account, symbols: Collection[str] | None, stored: Sequence[Position], now: datetime
) -> list[Position]:
    rows: dict[str, list[Position]] = defaultdict(list)
    for row in stored:
        rows[row.symbol].append(row)
    waiting = {row.symbol for row in stored if row.state == Position.State.PENDING}
    ledger, sides = ledger_of(account, symbols), _filled_sides(account, waiting) | entry_sides(account, symbols)
    # They belong to fills: where nothing was filled there is nothing to ask for.
    book, brackets = ParameterBook(account), exits_by_activity(account, symbols) if ledger else {}

    def planned_exits(symbol: str, trip: RoundTrip) -> BracketExits | None:
        return exits_of(trip, brackets, partial(book.moved_at, symbol))

    return [
        row
        for symbol in sorted(rows.keys() | ledger.keys() | sides.keys())
        for row in project_symbol(
            account=account,
            symbol=symbol,
            trips=fold(ledger.get(symbol, ())),
            stored=sorted(rows[symbol], key=lambda row: row.sequence),
            entry_side=sides.get(symbol),
            parameters_of=book.of_round_trip,
            exits_of=planned_exits,
            now=now,
        )
    ]


def entry_sides(account: Account, symbols: Collection[str] | None) -> dict[str, Side]:
    """Return the side that a working order would open, by symbol; the oldest order decides.

    An order that Alpaca is not known to have is no entry yet: its sending may still come to nothing, and nobody
    rebuilds for that. A held one is the exit of another, and so is what says that it closes: once the other exit is
    filled it still works for a moment, and would open nothing.
    """
    found = []
    # Found among those that can still change: any question for the symbol walks the index of all confirmed orders.
    alive = alive_at_broker(account)
    for start in range(0, len(alive), _IDS_IN_ONE_QUERY):
        sent = Order.objects.filter(pk__in=alive[start : start + _IDS_IN_ONE_QUERY]).exclude(status="held")
        sent = sent.exclude(order_class=OCO).exclude(origin=Order.Origin.PROTECTION).order_by()
        columns = ("recorded_at", "pk", "symbol", "side", "raw__position_intent")
        found += list(_of_symbols(sent, symbols).values_list(*columns))
    return {
        symbol: "long" if side == "buy" else "short"
        for _, _, symbol, side, intent in sorted(found, key=itemgetter(0, 1), reverse=True)
        if intent not in _CLOSING
    }


def _filled_sides(account: Account, waiting: Collection[str]) -> dict[str, Side]:
    """Return the side of entries that ended with something filled, of which the executions are still on their way.

    Whoever books the state a moment before its fill must not call the entry over: the fill would begin a second trade.
    """
    if not waiting:
        return {}
    ended = Order.objects.filter(account=account, symbol__in=waiting, is_booked=False, status__in=TERMINAL_STATUSES)
    orders = ended.exclude(order_class=OCO).exclude(origin=Order.Origin.PROTECTION).order_by("-recorded_at", "-id")
    return {
        symbol: "long" if side == "buy" else "short"
        for symbol, side, filled, intent in orders.values_list("symbol", "side", "filled_qty", "raw__position_intent")
        if filled and intent not in _CLOSING
    }


def _write(stored: Sequence[Position], computed: Sequence[Position], now: datetime) -> int:
    """Write the rows that differ and remove those that are too many; three statements at most.

    Removed first and written in sequence, so that a symbol never has two rows that are not closed.
    """
    due = {(row.symbol, row.sequence): row for row in computed}
    old = {(row.symbol, row.sequence): row for row in stored}
    surplus = [row.pk for key, row in old.items() if key not in due]
    changed = [row for key, row in due.items() if key not in old or _differs(old[key], row)]
    for row in changed:
        row.rebuilt_at = now
    if surplus:
        Position.objects.filter(pk__in=surplus).delete()
    if changed:
        Position.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["account", "symbol", "sequence"],
            update_fields=[*_WRITTEN, "rebuilt_at"],
        )
    return len(surplus) + len(changed)


def _differs(old: Position, new: Position) -> bool:
    return any(getattr(old, name) != getattr(new, name) for name in _WRITTEN)
