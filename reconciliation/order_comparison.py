"""Compare orders: identity first, then state, then what was filled. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerFill, BrokerOrder
from orders.identity import is_ours
from orders.lifecycle import SubmissionState, is_terminal
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalFill, LocalOrder, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.wording import count_of, dollars_of, fills_in_words, name_of, order_facts, spell_fill


def compare_orders(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    yield from _compare_seen_orders(record, evidence, _fills_by_order(evidence.fills.values()))
    yield from _compare_unseen_orders(record, evidence)


def _fills_by_order(fills: Iterable[BrokerFill]) -> Mapping[str, tuple[BrokerFill, ...]]:
    grouped: dict[str, list[BrokerFill]] = defaultdict(list)
    for fill in fills:
        grouped[fill.broker_order_id].append(fill)
    return {order_id: tuple(sorted(group, key=_by_time)) for order_id, group in grouped.items()}


def _by_time(fill: BrokerFill) -> tuple[object, str]:
    return (fill.transaction_time, fill.activity_id)


def _compare_seen_orders(
    record: LocalRecord, evidence: BrokerEvidence, fills_by_order: Mapping[str, tuple[BrokerFill, ...]]
) -> Iterator[Difference]:
    by_broker_id = {order.broker_order_id: order for order in record.orders if order.broker_order_id}
    by_client_id = {order.client_order_id: order for order in record.orders}
    booked = _booked_by_order(record.fills.values())
    our_legs, our_groups = _our_legs(record, evidence, by_broker_id)
    for theirs in evidence.orders.values():
        fills = fills_by_order.get(theirs.broker_order_id, ())
        ours = by_broker_id.get(theirs.broker_order_id)
        if ours is not None:
            yield from _compare_linked(ours, theirs, booked.get(theirs.broker_order_id, {}), fills)
        elif (ours := by_client_id.get(theirs.client_order_id)) is not None and not ours.broker_order_id:
            yield _unconfirmed_found(ours, theirs, fills)
        else:
            chain = list(_chain_back(theirs, evidence))
            ours = next((by_broker_id[link] for link in chain if link in by_broker_id), None)
            if ours is not None:
                yield _replaced(ours, theirs, fills)
                continue
            older = [evidence.orders[link].client_order_id for link in chain if link in evidence.orders]
            is_leg = theirs.broker_order_id in our_legs or group_of(theirs) in our_groups
            is_own = is_leg or any(map(is_ours, [theirs.client_order_id, *older]))
            yield _unrecorded(theirs, fills, is_own=is_own)


def _booked_by_order(fills: Iterable[LocalFill]) -> Mapping[str, Mapping[str, LocalFill]]:
    grouped: dict[str, dict[str, LocalFill]] = defaultdict(dict)
    for fill in fills:
        grouped[fill.broker_order_id][fill.activity_id] = fill
    return grouped


def group_of(order: BrokerOrder) -> str:
    """The group that a bracket, OCO or OTO and its legs share; legs have client_order_ids of Alpaca's making."""
    return str(order.raw.get("group_id") or "")


def _our_legs(
    record: LocalRecord, evidence: BrokerEvidence, by_broker_id: Mapping[str, LocalOrder]
) -> tuple[set[str], set[str]]:
    """Return ids of the legs, and of the groups, of orders that are ours: listed one by one, legs do not say so."""
    known = [o for o in evidence.orders.values() if is_ours(o.client_order_id) or o.broker_order_id in by_broker_id]
    legs = {leg for order in record.orders for leg in order.leg_ids} | {leg for o in known for leg in o.leg_ids}
    groups = {order.group_id for order in record.orders} | {group_of(order) for order in known}
    return legs, groups - {""}


def _chain_back(theirs: BrokerOrder, evidence: BrokerEvidence) -> Iterator[str]:
    """The ids that this order replaces, newest first: a replacement has a new id and a new client_order_id."""
    seen: set[str] = set()
    order: BrokerOrder | None = theirs
    while order is not None and order.replaces and order.replaces not in seen:
        seen.add(order.replaces)
        yield order.replaces
        order = evidence.orders.get(order.replaces)


def _compare_linked(
    ours: LocalOrder, theirs: BrokerOrder, booked: Mapping[str, LocalFill], fills: tuple[BrokerFill, ...]
) -> Iterator[Difference]:
    new = tuple(fill for fill in fills if fill.activity_id not in booked)
    known = {fill.activity_id: fill.qty for fill in fills}
    # A fill that differs is a difference of its own; the order's sum is Alpaca's.
    total = sum((known.get(activity_id, fill.qty) for activity_id, fill in booked.items()), Decimal(0))
    complete = total + sum((fill.qty for fill in new), Decimal(0)) == theirs.filled_qty
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
        "dollars": dollars_of(theirs, new),
    }
    name = name_of(theirs)
    if ours.status != theirs.status:
        if is_terminal(ours.status) and not is_terminal(theirs.status):
            text = f"{name} is {ours.status} here but still {theirs.status} at Alpaca, where it can fill."
            yield Difference(kind=Kind.ZOMBIE_ORDER, sentence=text, **base)
        else:
            text = f"{name} is {theirs.status} at Alpaca; the database still says {ours.status or 'nothing'}."
            yield Difference(kind=Kind.STATUS_BEHIND, sentence=text, **base)
    if ours.filled_qty != theirs.filled_qty:
        behind = ours.filled_qty < theirs.filled_qty
        text = f"Alpaca filled {plain(theirs.filled_qty)} of {name}; the database says {plain(ours.filled_qty)}."
        yield Difference(kind=Kind.FILLED_QTY_BEHIND if behind else Kind.FILLED_QTY_AHEAD, sentence=text, **base)
    if new:
        base |= {"local": {"fills": []}, "broker": {"fills": [spell_fill(fill) for fill in new]}}
        text = f"{count_of(len(new), 'fill')} of {name_of(theirs)} not recorded: {fills_in_words(new)}."
        yield Difference(kind=Kind.MISSING_FILL, sentence=text, **base)
    elif not complete:
        yield from _sum_mismatch(total, theirs, base)


def _sum_mismatch(total: Decimal, theirs: BrokerOrder, base: dict[str, Any]) -> Iterator[Difference]:
    """Nothing new to book and still not the order's own sum: Alpaca has not published an activity yet."""
    if total < theirs.filled_qty:
        base |= {"local": {"fills_sum": plain(total)}, "broker": {"fills_sum": plain(theirs.filled_qty)}}
        text = (
            f"{name_of(theirs)} is filled for {plain(theirs.filled_qty)}, but Alpaca lists fills of "
            f"{plain(total)} only. The rest appears with a later read."
        )
        yield Difference(kind=Kind.MISSING_FILL, sentence=text, **base)


def _unconfirmed_found(ours: LocalOrder, theirs: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Difference:
    return Difference(
        kind=Kind.UNCONFIRMED_SUBMIT,
        subject=ours.client_order_id,
        symbol=theirs.symbol,
        local=order_facts(ours),
        broker=order_facts(theirs) | {"fills": [spell_fill(fill) for fill in fills]},
        sentence=f"{name_of(theirs)} was sent without an answer being recorded. Alpaca has it: {theirs.status}.",
        dollars=dollars_of(theirs, fills),
        order_pk=ours.pk,
        broker_order=theirs,
        new_fills=fills,
        fills_are_complete=_sums_up(fills, theirs),
        holds_cursor_at=theirs.submitted_at,
    )


def _replaced(ours: LocalOrder, theirs: BrokerOrder, fills: tuple[BrokerFill, ...]) -> Difference:
    return Difference(
        kind=Kind.REPLACE_CHAIN,
        subject=theirs.broker_order_id,
        symbol=theirs.symbol,
        local=order_facts(ours),
        broker=order_facts(theirs) | {"fills": [spell_fill(fill) for fill in fills]},
        sentence=(
            f"{ours.side} {plain(ours.qty) or ''} {ours.symbol} was replaced at Alpaca by {name_of(theirs)}, "
            f"which is not recorded: {theirs.status}."
        ),
        dollars=dollars_of(theirs, fills),
        order_pk=ours.pk,
        broker_order=theirs,
        new_fills=fills,
        fills_are_complete=_sums_up(fills, theirs),
        holds_cursor_at=theirs.submitted_at,
    )


def _unrecorded(theirs: BrokerOrder, fills: tuple[BrokerFill, ...], *, is_own: bool) -> Difference:
    if is_own:
        said = f"Our order to {name_of(theirs)} is {theirs.status} at Alpaca but is not in the database"
    else:
        said = f"Somebody placed an order outside this program: {name_of(theirs)}, {theirs.status}"
    return Difference(
        kind=Kind.OUR_ORDER_UNLINKED if is_own else Kind.EXTERNAL_ORDER,
        subject=theirs.broker_order_id,
        symbol=theirs.symbol,
        local={},
        broker=order_facts(theirs) | {"fills": [spell_fill(fill) for fill in fills]},
        sentence=f"{said}{': ' + fills_in_words(fills) if fills else ''}.",
        dollars=dollars_of(theirs, fills),
        broker_order=theirs,
        new_fills=fills,
        fills_are_complete=_sums_up(fills, theirs),
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


def _sums_up(fills: tuple[BrokerFill, ...], theirs: BrokerOrder) -> bool:
    return sum((fill.qty for fill in fills), Decimal(0)) == theirs.filled_qty
