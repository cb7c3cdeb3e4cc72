"""Compare fills: the values of those that both sides have, and those that Alpaca took back or never had. Pure."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from broker.numbers import plain
from broker.types import BrokerActivity
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalFill, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.wording import fills_in_words, spell_fill

if TYPE_CHECKING:
    from reconciliation.linked_orders import Linked


def compare_fills(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    yield from _compare_fill_values(record, evidence)
    yield from _phantom_fills(record, evidence)


def _compare_fill_values(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    for activity_id, theirs in evidence.fills.items():
        ours = record.fills.get(activity_id)
        if ours is None or (ours.qty, ours.price, ours.side) == (theirs.qty, theirs.price, theirs.side):
            continue
        yield Difference(
            kind=Kind.FILL_VALUES_DIFFER,
            subject=activity_id,
            symbol=theirs.symbol,
            local=spell_fill(ours),
            broker=spell_fill(theirs),
            sentence=(
                f"Fill {activity_id} of {theirs.symbol} has other values at Alpaca: {theirs.side} "
                f"{plain(theirs.qty)} at {plain(theirs.price)}; the database says {ours.side} "
                f"{plain(ours.qty)} at {plain(ours.price)}."
            ),
            dollars=abs(
                _signed_value(theirs.side, theirs.qty, theirs.price) - _signed_value(ours.side, ours.qty, ours.price)
            ),
            new_fills=(theirs,),
            gone_fill=activity_id,
            holds_cursor_at=theirs.transaction_time,
        )


def _signed_value(side: str, qty: Decimal, price: Decimal) -> Decimal:
    return qty * price if side == "buy" else -qty * price


def absent_fills(record: LocalRecord, evidence: BrokerEvidence) -> frozenset[str]:
    """Fills of ours that Alpaca would have listed in this read, had it them."""
    since = evidence.activities_after  # None: every fill there ever was has been read
    return frozenset(
        activity_id
        for activity_id, ours in record.fills.items()
        if activity_id not in evidence.fills
        and (since is None or since < ours.transaction_time)
        and ours.transaction_time < evidence.read_started_at
    )


def _phantom_fills(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    busted = _busted(record, evidence)
    for activity_id in absent_fills(record, evidence) - busted:
        ours = record.fills[activity_id]
        yield Difference(
            kind=Kind.PHANTOM_FILL,
            subject=activity_id,
            symbol=ours.symbol,
            local=spell_fill(ours),
            broker={},
            sentence=(
                f"The database has a fill that Alpaca does not list: {ours.side} {plain(ours.qty)} {ours.symbol} at "
                f"{plain(ours.price)}, {activity_id}."
            ),
            dollars=ours.qty * ours.price,
            gone_fill=activity_id,
            holds_cursor_at=ours.transaction_time,
        )


# --- Fills that Alpaca took back --------------------------------------------------------------------------------


def _busted(record: LocalRecord, evidence: BrokerEvidence) -> frozenset[str]:
    filled = {order.broker_order_id: order.filled_qty for order in record.orders if order.broker_order_id}
    return frozenset(
        activity_id
        for activity_id in absent_fills(record, evidence)
        if is_taken_back(record.fills[activity_id], filled.get(record.fills[activity_id].broker_order_id), evidence)
    )


def is_taken_back(ours: LocalFill, our_filled_qty: Decimal | None, evidence: BrokerEvidence) -> bool:
    """Whether Alpaca says that it busted this fill: by a reversal, or by an order that has less filled than it had."""
    theirs = evidence.orders.get(ours.broker_order_id)
    if theirs is None or our_filled_qty is None:
        return False  # there is nothing of the order to hold it against: the fill is merely not there
    if reversal_of(ours, evidence) is not None:
        return True
    has_lost = theirs.filled_qty < our_filled_qty
    is_short = theirs.status == "filled" and theirs.qty is not None and theirs.filled_qty < theirs.qty
    return has_lost or is_short


def reversal_of(ours: LocalFill, evidence: BrokerEvidence) -> BrokerActivity | None:
    """A bust is listed as the same execution once more, with a negative quantity."""
    for activity in evidence.other_activities:
        named = str(activity.raw.get("order_id") or "")
        if activity.activity_type == "FILL" and (named, activity.qty, activity.price) == (
            ours.broker_order_id,
            -ours.qty,
            ours.price,
        ):
            return activity
    return None


def compare_busts(linked: "Linked", evidence: BrokerEvidence) -> Iterator[Difference]:
    """The busted fills of one order. What Alpaca booked in their place is part of the same story."""
    busted = [f for f in linked.absent if is_taken_back(f, linked.ours.filled_qty, evidence)]
    instead = linked.new if linked.fills_are_complete else ()
    for ours in sorted(busted, key=lambda fill: (fill.transaction_time, fill.activity_id)):
        text = f"Alpaca took a fill back: {ours.side} {plain(ours.qty)} {ours.symbol} at {plain(ours.price)}"
        text += f", and booked {fills_in_words(instead)} instead." if instead else "."
        reversal = reversal_of(ours, evidence)
        said = {
            "activity_id": reversal.activity_id if reversal else "",
            "qty": plain(reversal.qty) if reversal else "0",
            "price": plain(reversal.price) if reversal else None,
            "order_filled_qty": plain(linked.theirs.filled_qty),
        }
        yield Difference(
            kind=Kind.FILL_BUSTED,
            subject=ours.activity_id,
            symbol=ours.symbol,
            local={**spell_fill(ours), "order_filled_qty": plain(linked.ours.filled_qty)},
            broker=said,
            sentence=text,
            dollars=ours.qty * ours.price,
            order_pk=linked.ours.pk,
            broker_order=linked.theirs,
            new_fills=instead,
            gone_fill=ours.activity_id,
            holds_cursor_at=min(ours.transaction_time, linked.theirs.submitted_at or ours.transaction_time),
        )
        instead = ()
