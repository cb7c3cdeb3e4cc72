"""Compare the record with the evidence. Pure: two values in, a list of differences out.

The order of the questions is the order of causes: identity first, then state, then fills, then positions.
`compare(x, x)` is empty.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerFill, BrokerOrder, BrokerPosition
from orders.identity import is_ours
from orders.lifecycle import IN_FLIGHT, TRANSITIONAL_STATUSES, SubmissionState, is_terminal
from reconciliation.difference import Difference, Facts
from reconciliation.evidence import BrokerEvidence, LocalFill, LocalOrder, LocalPosition, LocalRecord
from reconciliation.kinds import Kind

#: Alpaca recomputes averages overnight by another method; below this relative difference they are equal.
AVERAGE_TOLERANCE = Decimal("0.0001")


def compare(record: LocalRecord, evidence: BrokerEvidence) -> list[Difference]:
    """Return every difference between the two, in a stable order."""
    fills_by_order = _fills_by_order(evidence.fills.values())
    found = [
        *_compare_orders(record, evidence, fills_by_order),
        *_compare_unseen_orders(record, evidence),
        *_compare_fill_values(record, evidence),
        *_phantom_fills(record, evidence),
        *_compare_positions(record, evidence),
    ]
    return sorted(found, key=_in_order_of_events)


def _in_order_of_events(difference: Difference) -> tuple[bool, datetime, str]:
    """Dated differences first, as they happened; the key decides between equals, so that two runs agree."""
    moment = difference.holds_cursor_at
    return (moment is None, moment or datetime.min.replace(tzinfo=UTC), difference.key)


def symbols_in_flight(record: LocalRecord, evidence: BrokerEvidence) -> frozenset[str]:
    """Symbols in which an order is between states, so that nothing in them may be called missing."""
    ours = {order.symbol for order in record.orders if order.is_in_flight and order.submission_state in IN_FLIGHT}
    theirs = {order.symbol for order in evidence.orders.values() if order.status in TRANSITIONAL_STATUSES}
    return frozenset(ours | theirs)


def _fills_by_order(fills: Iterable[BrokerFill]) -> Mapping[str, tuple[BrokerFill, ...]]:
    grouped: dict[str, list[BrokerFill]] = defaultdict(list)
    for fill in fills:
        grouped[fill.broker_order_id].append(fill)
    return {order_id: tuple(sorted(group, key=_by_time)) for order_id, group in grouped.items()}


def _by_time(fill: BrokerFill) -> tuple[object, str]:
    return (fill.transaction_time, fill.activity_id)


# --- Orders -------------------------------------------------------------------------------------------------


def _compare_orders(
    record: LocalRecord, evidence: BrokerEvidence, fills_by_order: Mapping[str, tuple[BrokerFill, ...]]
) -> Iterator[Difference]:
    by_broker_id = {order.broker_order_id: order for order in record.orders if order.broker_order_id}
    by_client_id = {order.client_order_id: order for order in record.orders}
    our_legs = {leg for order in record.orders for leg in order.leg_ids} | {
        leg for theirs in evidence.orders.values() if is_ours(theirs.client_order_id) for leg in theirs.leg_ids
    }
    for theirs in evidence.orders.values():
        fills = fills_by_order.get(theirs.broker_order_id, ())
        ours = by_broker_id.get(theirs.broker_order_id)
        if ours is not None:
            yield from _compare_linked(ours, theirs, record, fills)
        elif (ours := by_client_id.get(theirs.client_order_id)) is not None:
            yield _unconfirmed_found(ours, theirs, fills)
        else:
            chain = list(_chain_back(theirs, evidence))
            ours = next((by_broker_id[link] for link in chain if link in by_broker_id), None)
            if ours is not None:
                yield _replaced(ours, theirs, fills)
                continue
            older = [evidence.orders[link].client_order_id for link in chain if link in evidence.orders]
            is_own = any(map(is_ours, [theirs.client_order_id, *older])) or theirs.broker_order_id in our_legs
            yield _unrecorded(theirs, fills, is_own=is_own)


def _chain_back(theirs: BrokerOrder, evidence: BrokerEvidence) -> Iterator[str]:
    """The ids that this order replaces, newest first: a replacement has a new id and a new client_order_id."""
    seen: set[str] = set()
    order: BrokerOrder | None = theirs
    while order is not None and order.replaces and order.replaces not in seen:
        seen.add(order.replaces)
        yield order.replaces
        order = evidence.orders.get(order.replaces)


def _compare_linked(
    ours: LocalOrder, theirs: BrokerOrder, record: LocalRecord, fills: tuple[BrokerFill, ...]
) -> Iterator[Difference]:
    booked = {key: fill for key, fill in record.fills.items() if fill.broker_order_id == theirs.broker_order_id}
    new = tuple(fill for fill in fills if fill.activity_id not in booked)
    complete = _sums_up(booked, new, theirs)
    base: dict[str, Any] = {
        "subject": theirs.broker_order_id,
        "symbol": theirs.symbol,
        "order_pk": ours.pk,
        "broker_order": theirs,
        "new_fills": new,
        "fills_are_complete": complete,
        "holds_cursor_at": theirs.submitted_at,
        "local": order_facts(ours),
        "broker": order_facts(theirs),
        "dollars": _dollars(theirs, new),
    }
    if ours.status != theirs.status:
        if is_terminal(ours.status) and not is_terminal(theirs.status):
            text = f"{_name(theirs)} is {ours.status} here but still {theirs.status} at Alpaca, where it can fill."
            yield Difference(kind=Kind.ZOMBIE_ORDER, sentence=text, **base)
        else:
            text = f"{_name(theirs)} is {theirs.status} at Alpaca; the database still says {ours.status or 'nothing'}."
            yield Difference(kind=Kind.STATUS_BEHIND, sentence=text, **base)
    if ours.filled_qty != theirs.filled_qty:
        behind = ours.filled_qty < theirs.filled_qty
        text = (
            f"Alpaca filled {plain(theirs.filled_qty)} of {_name(theirs)}; the database says {plain(ours.filled_qty)}."
        )
        yield Difference(kind=Kind.FILLED_QTY_BEHIND if behind else Kind.FILLED_QTY_AHEAD, sentence=text, **base)
    if new:
        base |= {"local": {"fills": []}, "broker": {"fills": [_spell_fill(fill) for fill in new]}}
        text = f"{_count(len(new), 'fill')} of {_name(theirs)} not recorded: {_fills_in_words(new)}."
        yield Difference(kind=Kind.MISSING_FILL, sentence=text, **base)
    elif not complete:
        yield from _sum_mismatch(booked, theirs, base)


def _sum_mismatch(booked: Mapping[str, LocalFill], theirs: BrokerOrder, base: dict[str, Any]) -> Iterator[Difference]:
    """Nothing new to book and still not the order's own sum: Alpaca has not published an activity yet."""
    total = sum((fill.qty for fill in booked.values()), Decimal(0))
    if total < theirs.filled_qty:
        base |= {"local": {"fills_sum": plain(total)}, "broker": {"fills_sum": plain(theirs.filled_qty)}}
        text = (
            f"{_name(theirs)} is filled for {plain(theirs.filled_qty)}, but Alpaca lists fills of "
            f"{plain(total)} only. The rest appears with a later read."
        )
        yield Difference(kind=Kind.MISSING_FILL, sentence=text, **base)


def _unconfirmed_found(ours: LocalOrder, theirs: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Difference:
    return Difference(
        kind=Kind.UNCONFIRMED_SUBMIT,
        subject=ours.client_order_id,
        symbol=theirs.symbol,
        local=order_facts(ours),
        broker=order_facts(theirs) | {"fills": [_spell_fill(fill) for fill in fills]},
        sentence=f"{_name(theirs)} was sent without an answer being recorded. Alpaca has it: {theirs.status}.",
        dollars=_dollars(theirs, fills),
        order_pk=ours.pk,
        broker_order=theirs,
        new_fills=fills,
        fills_are_complete=_sums_up({}, fills, theirs),
        holds_cursor_at=theirs.submitted_at,
    )


def _replaced(ours: LocalOrder, theirs: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Difference:
    return Difference(
        kind=Kind.REPLACE_CHAIN,
        subject=theirs.broker_order_id,
        symbol=theirs.symbol,
        local=order_facts(ours),
        broker=order_facts(theirs) | {"fills": [_spell_fill(fill) for fill in fills]},
        sentence=(
            f"{ours.side} {plain(ours.qty) or ''} {ours.symbol} was replaced at Alpaca by {_name(theirs)}, "
            f"which is not recorded: {theirs.status}."
        ),
        dollars=_dollars(theirs, fills),
        order_pk=ours.pk,
        broker_order=theirs,
        new_fills=fills,
        fills_are_complete=_sums_up({}, fills, theirs),
        holds_cursor_at=theirs.submitted_at,
    )


def _unrecorded(theirs: BrokerOrder, fills: tuple[BrokerFill, ...], *, is_own: bool) -> Difference:
    if is_own:
        said = f"Our order to {_name(theirs)} is {theirs.status} at Alpaca but is not in the database"
    else:
        said = f"Somebody placed an order outside this program: {_name(theirs)}, {theirs.status}"
    return Difference(
        kind=Kind.OUR_ORDER_UNLINKED if is_own else Kind.EXTERNAL_ORDER,
        subject=theirs.broker_order_id,
        symbol=theirs.symbol,
        local={},
        broker=order_facts(theirs) | {"fills": [_spell_fill(fill) for fill in fills]},
        sentence=f"{said}{': ' + _fills_in_words(fills) if fills else ''}.",
        dollars=_dollars(theirs, fills),
        broker_order=theirs,
        new_fills=fills,
        fills_are_complete=_sums_up({}, fills, theirs),
        holds_cursor_at=theirs.submitted_at,
    )


def _compare_unseen_orders(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    for ours in record.orders:
        if ours.broker_order_id in evidence.absent_order_ids and ours.broker_order_id:
            text = f"Alpaca does not know order {ours.broker_order_id} ({ours.side} {ours.symbol}) any more."
            yield _about_local(Kind.ORDER_MISSING_AT_BROKER, ours.broker_order_id, ours, text)
        elif (
            ours.client_order_id in evidence.absent_client_order_ids
            and ours.submission_state == SubmissionState.UNCONFIRMED
        ):
            text = (
                f"{ours.side} {plain(ours.qty) or ''} {ours.symbol} was sent without an answer. Alpaca does not show "
                "it yet; look-ups go on until that is certain."
            )
            yield _about_local(Kind.UNCONFIRMED_SUBMIT, ours.client_order_id, ours, text)


def _about_local(kind: Kind, subject: str, ours: LocalOrder, sentence: str) -> Difference:
    return Difference(
        kind=kind,
        subject=subject,
        symbol=ours.symbol,
        local=order_facts(ours),
        broker={},
        sentence=sentence,
        order_pk=ours.pk,
    )


# --- Fills --------------------------------------------------------------------------------------------------


def _compare_fill_values(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    for activity_id, theirs in evidence.fills.items():
        ours = record.fills.get(activity_id)
        if ours is None or (ours.qty, ours.price, ours.side) == (theirs.qty, theirs.price, theirs.side):
            continue
        yield Difference(
            kind=Kind.FILL_VALUES_DIFFER,
            subject=activity_id,
            symbol=theirs.symbol,
            local=_spell_fill(ours),
            broker=_spell_fill(theirs),
            sentence=f"Fill {activity_id} of {theirs.symbol} has other values at Alpaca.",
            holds_cursor_at=theirs.transaction_time,
        )


def _phantom_fills(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    if evidence.activities_after is None:
        return
    for activity_id, ours in record.fills.items():
        in_window = evidence.activities_after < ours.transaction_time < evidence.read_started_at
        if in_window and activity_id not in evidence.fills:
            yield Difference(
                kind=Kind.PHANTOM_FILL,
                subject=activity_id,
                symbol=ours.symbol,
                local=_spell_fill(ours),
                broker={},
                sentence=f"The database has a fill of {ours.symbol} that Alpaca does not list: {activity_id}.",
                holds_cursor_at=ours.transaction_time,
            )


# --- Positions ----------------------------------------------------------------------------------------------


def _compare_positions(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
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
        local=_position_facts(ours),
        broker=_position_facts(theirs),
        sentence=sentence,
        dollars=abs(gap) * price if price is not None else None,
    )


# --- Spelling -----------------------------------------------------------------------------------------------


def order_facts(order: LocalOrder | BrokerOrder) -> dict[str, Any]:
    """The fields that are compared and shown, under the same names for both sides."""
    facts: dict[str, Any] = {
        "client_order_id": order.client_order_id,
        "broker_order_id": order.broker_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "qty": plain(order.qty),
        "status": order.status,
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": plain(order.filled_avg_price),
        "replaced_by": order.replaced_by,
    }
    if isinstance(order, LocalOrder):
        facts["submission_state"] = str(order.submission_state)
    return facts


def _position_facts(position: LocalPosition | BrokerPosition | None) -> Facts:
    if position is None:
        return {"qty": "0"}
    return {"qty": plain(position.qty), "avg_entry_price": plain(position.avg_entry_price)}


def _spell_fill(fill: LocalFill | BrokerFill) -> dict[str, object]:
    return {
        "activity_id": fill.activity_id,
        "side": fill.side,
        "qty": plain(fill.qty),
        "price": plain(fill.price),
        "transaction_time": fill.transaction_time.isoformat(),
    }


def _name(order: BrokerOrder) -> str:
    size = plain(order.qty) if order.qty is not None else f"${plain(order.notional)} of"
    return f"{order.side} {size} {order.symbol}"


def _price(price: Decimal) -> str:
    """At least two decimals, as people write money; never fewer digits than the price has."""
    text = plain(price) or "0"
    return f"{price:.2f}" if len(text.partition(".")[2]) < 2 else text


def _fills_in_words(fills: tuple[BrokerFill, ...]) -> str:
    shown = [f"{plain(fill.qty)} at {_price(fill.price)}" for fill in fills[:3]]
    return ", ".join(shown) + (f" and {len(fills) - 3} more" if len(fills) > 3 else "")


def _dollars(order: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Decimal | None:
    if fills:
        return sum((fill.qty * fill.price for fill in fills), Decimal(0))
    if order.filled_avg_price is not None:
        return order.filled_qty * order.filled_avg_price
    return order.qty * order.limit_price if order.qty is not None and order.limit_price is not None else order.notional


def _sums_up(booked: Mapping[str, LocalFill], new: tuple[BrokerFill, ...], theirs: BrokerOrder) -> bool:
    total = sum((fill.qty for fill in booked.values()), Decimal(0)) + sum((fill.qty for fill in new), Decimal(0))
    return total == theirs.filled_qty


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _round(price: Decimal) -> str:
    return format(price, ".4f")
