"""Compare positions: what we hold with what Alpaca holds. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from broker.numbers import plain
from broker.types import BrokerPosition
from orders.lifecycle import IN_FLIGHT, TRANSITIONAL_STATUSES, SubmissionState, is_terminal
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalPosition, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.wording import position_facts

#: Alpaca recomputes averages overnight by another method; below this relative difference they are equal.
AVERAGE_TOLERANCE = Decimal("0.0001")


def symbols_in_flight(record: LocalRecord, evidence: BrokerEvidence) -> frozenset[str]:
    """Symbols in which an order is between states, so that nothing in them may be called missing."""
    ours = {order.symbol for order in record.orders if order.is_in_flight and order.submission_state in IN_FLIGHT}
    theirs = {order.symbol for order in evidence.orders.values() if order.status in TRANSITIONAL_STATUSES}
    return frozenset(ours | theirs)


def compare_positions(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    moving = symbols_in_flight(record, evidence)
    for symbol in sorted(set(record.positions) | set(evidence.positions)):
        if symbol in moving:
            continue
        ours, theirs = record.positions.get(symbol), evidence.positions.get(symbol)
        difference = _compare_position(symbol, ours, theirs)
        if difference is not None:
            yield difference
        elif ours is not None and ours.state == "pending" and not _has_working_entry(symbol, record, evidence):
            text = f"{symbol} waits for an entry that no order at Alpaca can fill any more."
            yield _position_difference(Kind.PENDING_NEVER_FILLED, symbol, ours, None, text)


def _has_working_entry(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> bool:
    for order in record.orders:
        if order.symbol != symbol:
            continue
        theirs = evidence.orders.get(order.broker_order_id)
        status = theirs.status if theirs else order.status
        if order.is_in_flight or (order.submission_state == SubmissionState.CONFIRMED and not is_terminal(status)):
            return True
    return False


def _compare_position(symbol: str, ours: LocalPosition | None, theirs: BrokerPosition | None) -> Difference | None:
    have = ours.qty if ours else Decimal(0)
    there = theirs.qty if theirs else Decimal(0)
    if have == there:
        return _compare_average(symbol, ours, theirs)
    if have == 0:
        kind, text = Kind.POSITION_BROKER_ONLY, f"Alpaca holds {plain(there)} {symbol}; the database has no position."
    elif there == 0:
        kind, text = Kind.POSITION_DATABASE_ONLY, f"The database holds {plain(have)} {symbol}; Alpaca holds none."
    elif (have > 0) != (there > 0):
        kind, text = Kind.POSITION_SIDE, f"{symbol} is {plain(have)} in the database and {plain(there)} at Alpaca."
    else:
        kind, text = Kind.POSITION_QTY, f"{symbol} is {plain(have)} in the database and {plain(there)} at Alpaca."
    return _position_difference(kind, symbol, ours, theirs, text)


def _compare_average(symbol: str, ours: LocalPosition | None, theirs: BrokerPosition | None) -> Difference | None:
    if ours is None or theirs is None or ours.avg_entry_price is None:
        return None
    if averages_agree(ours.avg_entry_price, theirs):
        return None
    text = (
        f"The average price of {symbol} is {_round(ours.avg_entry_price)} here and "
        f"{_round(theirs.avg_entry_price)} at Alpaca, for the same quantity."
    )
    return _position_difference(Kind.POSITION_AVG_PRICE, symbol, ours, theirs, text)


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
