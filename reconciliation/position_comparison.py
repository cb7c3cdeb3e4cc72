"""Compare positions: what we hold with what Alpaca holds. Pure."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from broker.numbers import plain
from broker.types import BrokerPosition
from orders.lifecycle import IN_FLIGHT, TRANSITIONAL_STATUSES, SubmissionState, is_terminal
from positions.accounting import LedgerEntry, as_broker_counts, position_at
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, ClosedPosition, LocalPosition, LocalRecord
from reconciliation.guesses import guesses_to_take_back, superseding_fills
from reconciliation.kinds import Kind
from reconciliation.wording import count_of, position_facts

#: Alpaca recomputes averages overnight by another method; below this relative difference they are equal.
AVERAGE_TOLERANCE = Decimal("0.0001")
#: Alpaca takes no order for less, in dollars: by a part of a share, and by a part of a coin.
LEAST_ORDER, LEAST_CRYPTO_ORDER = Decimal(1), Decimal(10)


def symbols_in_flight(record: LocalRecord, evidence: BrokerEvidence) -> frozenset[str]:
    """Symbols in which an order is between states, so that nothing in them may be called missing."""
    ours = {order.symbol for order in record.orders if order.is_in_flight and order.submission_state in IN_FLIGHT}
    theirs = {order.symbol for order in evidence.orders.values() if order.status in TRANSITIONAL_STATUSES}
    return frozenset(ours | theirs | record.symbols_changing)


def compare_positions(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    moving = symbols_in_flight(record, evidence)
    for symbol in sorted(set(record.positions) | set(evidence.positions)):
        if symbol in moving:
            continue
        ours, theirs = record.positions.get(symbol), evidence.positions.get(symbol)
        difference = _compare_position(symbol, ours, theirs, record.ledgers.get(symbol, ()))
        if difference is not None:
            yield difference
            yield from _guesses_whose_fills_came(symbol, record, evidence)
        elif theirs is not None and _is_dust(theirs):
            yield _dust(theirs)
        elif ours is not None and ours.state == "pending" and not _has_working_entry(symbol, record, evidence):
            text = f"{symbol} waits for an entry that no order at Alpaca can fill any more."
            yield _position_difference(Kind.PENDING_NEVER_FILLED, symbol, ours, None, text)


def compare_netting_guesses(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    """Guesses whose true fills came although no share is too many: only the profit counts twice."""
    moving = symbols_in_flight(record, evidence)
    for symbol in sorted(record.guessed_more_than_once - moving):
        ours, theirs = record.positions.get(symbol), evidence.positions.get(symbol)
        if _compare_position(symbol, ours, theirs, record.ledgers.get(symbol, ())) is None:
            yield from _guesses_whose_fills_came(symbol, record, evidence)


def compare_closed_positions(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    """Positions that were closed, and do not say at what price: only a fill can."""
    moving = symbols_in_flight(record, evidence)
    for closed in record.closed:
        if closed.symbol not in moving:
            yield _without_exit(closed)


def _without_exit(closed: ClosedPosition) -> Difference:
    held = f"{plain(closed.entry_qty)} {closed.symbol}"
    return Difference(
        kind=Kind.CLOSED_WITHOUT_EXIT,
        subject=f"{closed.symbol}#{closed.sequence}",
        symbol=closed.symbol,
        local={
            "state": "closed",
            "entry_qty": plain(closed.entry_qty),
            "avg_entry_price": plain(closed.avg_entry_price),
            "avg_exit_price": None,
            "opened_at": closed.opened_at.isoformat(),
        },
        broker={},
        sentence=(
            f"The {closed.side} position of {held}, opened {closed.opened_at:%Y-%m-%d}, is closed without an exit: "
            "at what price it was left is not recorded, so its profit is not known."
        ),
        dollars=closed.entry_qty * closed.avg_entry_price if closed.avg_entry_price is not None else None,
    )


def _guesses_whose_fills_came(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    guesses = guesses_to_take_back(symbol, [], record, evidence)
    if not guesses:
        return
    qty = sum((entry.qty for entry in guesses), Decimal(0))
    fills = superseding_fills(guesses, record)
    yield Difference(
        kind=Kind.INFERRED_SUPERSEDED,
        subject=symbol,
        symbol=symbol,
        local={"corrections": [entry.order_key for entry in guesses], "qty": plain(qty), "true_fills": list(fills)},
        broker=position_facts(evidence.positions.get(symbol)),
        sentence=_superseded_sentence(symbol, qty, fills),
        dollars=sum((abs(entry.qty) * entry.price for entry in guesses), Decimal(0)),
    )


def _superseded_sentence(symbol: str, qty: Decimal, fills: Sequence[str]) -> str:
    came = f"its {count_of(len(fills), 'true fill')} came later and {'is' if len(fills) == 1 else 'are'} counted beside"
    if not qty:
        beside = came.replace("its ", "their ", 1)
        return f"Corrections of {symbol} that leave no share between them were guesses, and count twice: {beside} them."
    why = f"{came} it" if fills else "without it the books hold exactly what Alpaca holds"
    return f"The correction of {plain(qty)} {symbol} was a guess, and counts twice: {why}."


def _is_dust(position: BrokerPosition) -> bool:
    price = position.current_price if position.current_price is not None else position.avg_entry_price
    least = LEAST_CRYPTO_ORDER if "/" in position.symbol else LEAST_ORDER
    return 0 < abs(position.qty) * price < least and abs(position.qty) < 1


def _dust(position: BrokerPosition) -> Difference:
    """A remainder that no order can sell. The value moves with the price, so it is not part of the picture."""
    return Difference(
        kind=Kind.POSITION_DUST,
        subject=position.symbol,
        symbol=position.symbol,
        local={"qty": plain(position.qty)},
        broker={"qty": plain(position.qty)},
        sentence=(
            f"{plain(position.qty)} {position.symbol} is left over: less than the smallest order that Alpaca takes, so "
            "it cannot be sold by itself."
        ),
        dollars=abs(position.qty) * position.avg_entry_price,
    )


def _has_working_entry(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> bool:
    for order in record.orders:
        if order.symbol != symbol:
            continue
        theirs = evidence.orders.get(order.broker_order_id)
        status = theirs.status if theirs else order.status
        if order.is_in_flight or (order.submission_state == SubmissionState.CONFIRMED and not is_terminal(status)):
            return True
    return False


def _compare_position(
    symbol: str, ours: LocalPosition | None, theirs: BrokerPosition | None, ledger: Sequence[LedgerEntry]
) -> Difference | None:
    have = ours.qty if ours else Decimal(0)
    there = theirs.qty if theirs else Decimal(0)
    if have == there:
        return _compare_average(symbol, ours, theirs, ledger)
    if have == 0:
        kind, text = Kind.POSITION_BROKER_ONLY, f"Alpaca holds {plain(there)} {symbol}; the database has no position."
    elif there == 0:
        kind, text = Kind.POSITION_DATABASE_ONLY, f"The database holds {plain(have)} {symbol}; Alpaca holds none."
    elif (have > 0) != (there > 0):
        kind, text = Kind.POSITION_SIDE, f"{symbol} is {plain(have)} in the database and {plain(there)} at Alpaca."
    else:
        kind, text = Kind.POSITION_QTY, f"{symbol} is {plain(have)} in the database and {plain(there)} at Alpaca."
    return _position_difference(kind, symbol, ours, theirs, text)


def _compare_average(
    symbol: str, ours: LocalPosition | None, theirs: BrokerPosition | None, ledger: Sequence[LedgerEntry]
) -> Difference | None:
    if ours is None or theirs is None or ours.avg_entry_price is None:
        return None
    if averages_agree(ours.avg_entry_price, theirs) or _differs_as_entered(ledger, theirs):
        return None
    text = (
        f"The average price of {symbol} is {_round(ours.avg_entry_price)} here and "
        f"{_round(theirs.avg_entry_price)} at Alpaca, for the same quantity."
    )
    return _position_difference(Kind.POSITION_AVG_PRICE, symbol, ours, theirs, text)


def _differs_as_entered(ledger: Sequence[LedgerEntry], theirs: BrokerPosition) -> bool:
    """The averages differ by what a person entered, and by nothing else: that was known, and is shown as entered."""
    if all(entry.price_at_broker is None for entry in ledger):
        return False
    counted = position_at(as_broker_counts(ledger)).avg_entry_price
    return counted is not None and averages_agree(counted, theirs)


def averages_agree(ours: Decimal, theirs: BrokerPosition) -> bool:
    return abs(ours - theirs.avg_entry_price) <= abs(theirs.avg_entry_price) * AVERAGE_TOLERANCE


def _position_difference(
    kind: Kind, symbol: str, ours: LocalPosition | None, theirs: BrokerPosition | None, sentence: str
) -> Difference:
    price = theirs.avg_entry_price if theirs else (ours.avg_entry_price if ours else None)
    gap = (theirs.qty if theirs else Decimal(0)) - (ours.qty if ours else Decimal(0))
    return Difference(
        kind=kind,
        subject=symbol,
        symbol=symbol,
        local=position_facts(ours),
        broker=position_facts(theirs),
        sentence=sentence,
        dollars=abs(gap) * price if price is not None else None,
    )


def _round(price: Decimal) -> str:
    return format(price, ".4f")
