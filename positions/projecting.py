"""What the position rows of one symbol should be: its round trips, numbered, with stop, target and risk.

Takes and returns values: rows are given as they are stored, and returned unsaved.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import count

from broker.models import Account
from positions.accounting import RoundTrip, Side
from positions.bracket_plan import BracketExits
from positions.in_force import Parameters
from positions.models import Position
from positions.risk import levels, percent_between, total_risk

#: What the ledger says.
FACTS = (
    "state", "side", "qty", "entry_qty", "avg_entry_price", "cost_basis", "avg_exit_price", "realized_pl",
    "opened_at", "closed_at", "is_estimated", "entered_by",
)  # fmt: skip
#: What the parameters make of it.
LEVELS = (
    "stop_loss", "target", "risk_per_share", "total_risk", "stop_loss_pct", "target_pct", "parameters_from",
)  # fmt: skip
PRICES = ("last_price", "last_price_at")

ParametersOf = Callable[[str, datetime, datetime | None], Parameters]
ExitsOf = Callable[[str, RoundTrip], BracketExits | None]


def project_symbol(
    *,
    account: Account,
    symbol: str,
    trips: Sequence[RoundTrip],
    stored: Sequence[Position],
    entry_side: Side | None,
    parameters_of: ParametersOf,
    exits_of: ExitsOf,
    now: datetime,
) -> list[Position]:
    """Return the rows in their sequence. `entry_side` is that of a working entry order, if there is one.

    `exits_of` says whether a round trip has the stop and target of a bracket instead of the parameters'.

    Entries that were never filled keep their rows and numbers; round trips take the numbers in between.
    """
    given_up = [row for row in stored if row.is_never_filled]
    others = [row for row in stored if not row.is_never_filled]
    numbers = _free_numbers({row.sequence for row in given_up})
    kept = _rows_of_trips(trips, others)
    rows = [*given_up]
    for trip, old in zip(trips, kept, strict=True):
        row = _blank(account, symbol, next(numbers))
        fill_in(row, trip, old, parameters_of, exits_of(symbol, trip))
        rows.append(row)
    if not (trips and trips[-1].is_open):
        rows += without_position(account, symbol, others, entry_side, next(numbers), now)
    return sorted(rows, key=lambda row: row.sequence)


def fill_in(
    row: Position, trip: RoundTrip, old: Position | None, parameters_of: ParametersOf, exits: BracketExits | None
) -> None:
    """Set what follows from a round trip on a blank row. `old` is the row that the trip had, if it had one."""
    _set_facts(row, trip)
    _set_levels(row, trip, old, parameters_of, exits)


def _free_numbers(taken: set[int]) -> Iterator[int]:
    return (number for number in count(1) if number not in taken)


def _rows_of_trips(trips: Sequence[RoundTrip], rows: Sequence[Position]) -> list[Position | None]:
    """Find each round trip's row again, whatever number it has now: by its opening, else by the time they share."""
    left = [row for row in rows if row.opened_at is not None]
    found: dict[int, Position] = {}
    for same in (_opened_alike, _overlap):
        for trip in trips:
            if trip.sequence in found:
                continue
            row = next((row for row in left if same(row, trip)), None)
            if row is not None:
                found[trip.sequence] = row
                left.remove(row)
    return [found.get(trip.sequence) for trip in trips]


def _opened_alike(row: Position, trip: RoundTrip) -> bool:
    return row.opened_at == trip.opened_at and row.side == trip.side


def _overlap(row: Position, trip: RoundTrip) -> bool:
    starts_in_time = row.opened_at is not None and (trip.closed_at is None or row.opened_at < trip.closed_at)
    return starts_in_time and (row.closed_at is None or trip.opened_at < row.closed_at)


def _blank(account: Account, symbol: str, sequence: int) -> Position:
    return Position(account=account, symbol=symbol, sequence=sequence, qty=0, entry_qty=0, cost_basis=0, realized_pl=0)


def _set_facts(row: Position, trip: RoundTrip) -> None:
    row.state = Position.State.OPEN if trip.is_open else Position.State.CLOSED
    for name in FACTS[1:]:
        setattr(row, name, getattr(trip, name))


def _set_levels(
    row: Position, trip: RoundTrip, old: Position | None, parameters_of: ParametersOf, exits: BracketExits | None
) -> None:
    for name in (*LEVELS, *PRICES) if old else ():
        setattr(row, name, getattr(old, name))
    if not trip.is_open and row.stop_loss is not None and not _is_rescaled(trip, old):
        return  # closed: it keeps what it had
    if exits is not None:
        _follow(row, exits)
        return
    if row.stop_loss_pct is None or row.target_pct is None:
        parameters = parameters_of(row.symbol, trip.opened_at, trip.closed_at)
        row.stop_loss_pct, row.target_pct = parameters.stop_loss_pct, parameters.target_pct
        row.parameters_from = parameters.source
    apply_levels(row)


def _follow(row: Position, exits: BracketExits) -> None:
    """Take stop and target from a bracket; the percentages are what they come to from the entry as it was filled.

    A stop that the fill has passed already risks nothing more.
    """
    entry, stop = row.avg_entry_price, exits.stop_loss
    row.stop_loss, row.target, row.parameters_from = stop, exits.target, exits.source
    row.stop_loss_pct = percent_between(entry, stop)
    row.target_pct = percent_between(entry, exits.target)
    row.risk_per_share = max(entry - stop if row.side == "long" else stop - entry, Decimal(0))
    row.total_risk = total_risk(row.risk_per_share, row.qty or row.entry_qty)


def _is_rescaled(trip: RoundTrip, old: Position | None) -> bool:
    """A split of its time came to light after it was closed: what it had was in other shares."""
    is_split = any(entry.kind == "split" for entry in trip.entries)
    return is_split and old is not None and old.entry_qty != trip.entry_qty


def apply_levels(row: Position) -> None:
    """Set stop, target and risk by the row's own percentages. One first seen closed risked all that it entered."""
    side: Side = "long" if row.side == "long" else "short"
    found = levels(
        entry_price=row.avg_entry_price, side=side, stop_loss_pct=row.stop_loss_pct, target_pct=row.target_pct
    )
    row.stop_loss, row.target, row.risk_per_share = found.stop_loss, found.target, found.risk_per_share
    row.total_risk = total_risk(found.risk_per_share, row.qty or row.entry_qty)


def without_position(
    account: Account, symbol: str, others: Sequence[Position], entry_side: Side | None, number: int, now: datetime
) -> list[Position]:
    """Nothing is held: a row for the entry that is working, or for one that just ended without a fill."""
    row = _blank(account, symbol, number)
    if entry_side is not None:
        row.state, row.side = Position.State.PENDING, entry_side
        return [row]
    pending = next((row for row in others if row.state == Position.State.PENDING), None)
    if pending is None or pending.sequence != number:  # none was shown, or a round trip took its place
        return []
    row.state, row.side, row.closed_at = Position.State.CLOSED, pending.side, now
    return [row]
