"""Turn the entries of a batch into brackets, for an account whose plan says so. Pure.

An entry opens a position or adds to one; it is sent with its stop and target, so that no moment passes in which it is
filled and unprotected. Both are reckoned before anything is recorded: from the limit price, else from the price that
is known now. They stay where they are whatever the fill, and are from then on the plan of the position. What adds to
a position takes that position's stop and target, so that all its shares leave together.

An exit is never a bracket, and a line that brings exits of its own stays as it is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from broker.types import BrokerPosition
from orders.batch_line import Line, LineError
from orders.order_class import BRACKET, class_errors
from orders.reference_price import ReferencePrice, reference_price

if TYPE_CHECKING:
    from broker.models import Account

ZERO = Decimal(0)
_WHY = "since this account sends its entries as brackets"


@dataclass(frozen=True, slots=True)
class Exits:
    """Dollars a share, on the tick."""

    stop_loss: Decimal
    target: Decimal


class LevelBook(Protocol):
    """Where stop and target of an account's positions lie. `planned` is by symbol and direction, long or not."""

    def reckoned(self, symbol: str, entry_price: Decimal, *, is_long: bool) -> Exits: ...
    def planned(self, symbol: str, *, is_long: bool) -> Exits | None: ...


#: Set by the package that knows the parameters, which stands above this one.
level_books: "list[Callable[[Account, Collection[str]], LevelBook]]" = []


@dataclass(frozen=True, slots=True)
class Bracketed:
    lines: tuple[Line, ...]
    errors: tuple[LineError, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Work:
    book: LevelBook
    agreed: Mapping[int, Exits]
    latest: Mapping[str, Decimal]
    positions: Mapping[str, BrokerPosition]
    held: dict[str, Decimal]
    of_batch: dict[tuple[str, bool], Exits] = field(default_factory=dict)
    at_market: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)


def bracketed(
    lines: Iterable[Line],
    *,
    book: LevelBook,
    positions: Mapping[str, BrokerPosition],
    latest: Mapping[str, Decimal],
    agreed: Mapping[int, Exits],
) -> Bracketed:
    """Return the lines as they are to be recorded. `agreed` has, by line, the exits that a person was shown before."""
    held = {symbol: position.qty for symbol, position in positions.items()}
    work = _Work(book, agreed, latest, positions, held)
    found = [_bracketed(line, work) for line in lines]
    return Bracketed(tuple(found), tuple(work.errors), tuple(_warnings(work)))


def exits_of(lines: Sequence[Line]) -> dict[int, Exits]:
    """Return, by line, the exits of brackets: what a person agrees to who says yes to these lines."""
    return {
        line.number: Exits(line.stop_loss_stop_price, line.take_profit_limit_price)
        for line in lines
        if line.order_class == BRACKET
        and line.stop_loss_stop_price is not None
        and line.take_profit_limit_price is not None
    }


def _bracketed(line: Line, work: _Work) -> Line:
    closing = _closing_part(line, work)
    if line.order_class:
        return line
    if closing is None or (line.qty is not None and closing == line.qty):
        return line
    if closing:
        rest = f"a line that closes {closing:f} and another that opens the rest"
        _refuse(work, line, "qty", f"expected {rest}, {_WHY}, found one for both")
        return line
    if not _can_be_one(line, work):
        return line
    entry = replace(line, time_in_force="gtc" if line.order_type == "market" else line.time_in_force)
    price = reference_price(line, work.latest, work.positions)
    if price is None:
        message = f"expected a price from which to reckon stop and target, {_WHY}, found none: give a limit_price"
        _refuse(work, line, "limit_price", message)
        return line
    exits = _exits(line, price, work)
    if not _is_between(line, price, exits, work):
        return line
    work.of_batch[line.symbol, line.side == "buy"] = exits
    if line.limit_price is None:
        work.at_market.append(line.symbol)
    return replace(
        entry, order_class=BRACKET, take_profit_limit_price=exits.target, stop_loss_stop_price=exits.stop_loss
    )


def _closing_part(line: Line, work: _Work) -> Decimal | None:
    """Return how much of the line closes what is held; None if all of it does, whatever that comes to in shares."""
    held = work.held.get(line.symbol, ZERO)
    is_closing = held != 0 and (held > 0) != (line.side == "buy")
    if line.qty is None:
        return None if is_closing else ZERO
    work.held[line.symbol] = held + (line.qty if line.side == "buy" else -line.qty)
    return min(abs(held), line.qty) if is_closing else ZERO


def _can_be_one(line: Line, work: _Work) -> bool:
    """Refuse what Alpaca takes in no bracket: parts of shares, amounts in dollars, auctions, extended hours."""
    found = list(class_errors(replace(line, order_class=BRACKET), _WITH_EXITS))
    if line.time_in_force == "day" and line.order_type != "market":
        message = "expected gtc, or the stop and target would end with it at the close, found 'day'"
        found.append(("time_in_force", message))
    for name, message in found:
        _refuse(work, line, name, f"{message} ({_WHY})")
    return not found


#: The exits are filled in later: they are not what the rules have to object to.
_WITH_EXITS = {"take_profit_limit_price": "1", "stop_loss_stop_price": "1"}


def _exits(line: Line, price: ReferencePrice, work: _Work) -> Exits:
    is_long = line.side == "buy"
    if line.number in work.agreed:
        return work.agreed[line.number]
    planned = work.book.planned(line.symbol, is_long=is_long) or work.of_batch.get((line.symbol, is_long))
    if planned is not None:
        work.added.append(line.symbol)
        return planned
    return work.book.reckoned(line.symbol, price.dollars, is_long=is_long)


def _is_between(line: Line, price: ReferencePrice, exits: Exits, work: _Work) -> bool:
    """An entry beyond its own stop or target would be sold in the moment in which it is bought."""
    lowest, highest = sorted((exits.stop_loss, exits.target))
    is_right_way = (exits.stop_loss < exits.target) == (line.side == "buy")
    if is_right_way and lowest < price.dollars < highest:
        return True
    name = "qty" if line.limit_price is None else "limit_price"
    message = f"expected an entry between the stop {exits.stop_loss:f} and the target {exits.target:f}"
    _refuse(work, line, name, f"{message} of {line.symbol}, {_WHY}, found {price}")
    return False


def _refuse(work: _Work, line: Line, name: str, message: str) -> None:
    work.errors.append(LineError(line.number, name, message))


def _warnings(work: _Work) -> Iterable[str]:
    if work.at_market:
        yield (
            f"Stop and target of {_listed(work.at_market)} are reckoned from the price that is known now, and stay "
            "there: filled at another price, they lie nearer or farther than the parameters say."
        )
    if work.added:
        yield f"What adds to a position or to an earlier entry takes its stop and target: {_listed(work.added)}."


def _listed(symbols: Iterable[str]) -> str:
    return ", ".join(sorted(set(symbols)))
