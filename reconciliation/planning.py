"""Plan a fix for each root cause. Pure: the plan is data; nothing is written here.

A plan is a list of operations. An operation that copies broker facts carries the raw JSON they came in, so that
what is booked is what was shown. Where no safe or honest repair exists there is no plan, and the reason is given.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerFill, BrokerPosition
from positions.accounting import LedgerEntry, RoundTrip, fold
from positions.risk import levels, total_risk
from reconciliation.comparison import averages_agree, order_facts
from reconciliation.difference import Difference, Explained, Facts
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.explanation import entry_of
from reconciliation.kinds import KINDS, Kind

Operation = dict[str, Any]

#: Kinds whose repair copies the order and its fills as Alpaca gives them.
COPIES_ORDER = frozenset(
    {
        Kind.OUR_ORDER_UNLINKED,
        Kind.EXTERNAL_ORDER,
        Kind.UNCONFIRMED_SUBMIT,
        Kind.REPLACE_CHAIN,
        Kind.STATUS_BEHIND,
        Kind.FILLED_QTY_BEHIND,
        Kind.MISSING_FILL,
    }
)
ADJUSTS_POSITION = frozenset(
    {
        Kind.POSITION_BROKER_ONLY,
        Kind.POSITION_DATABASE_ONLY,
        Kind.POSITION_QTY,
        Kind.POSITION_SIDE,
        Kind.POSITION_AVG_PRICE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One fix: what it writes, and what database, Alpaca and the database afterwards say."""

    key: str
    action: str
    symbol: str
    title: str
    is_safe_copy: bool
    operations: tuple[Operation, ...]
    before: Facts
    broker: Facts
    after: Facts
    fingerprint: str


def plan(explained: list[Explained], record: LocalRecord, evidence: BrokerEvidence) -> list[Proposal]:
    """Return the fixes for the roots that have one, in the order of the differences."""
    roots = [item.difference for item in explained if item.cause_key is None]
    blocked = {d.symbol for d in roots if d.kind not in ADJUSTS_POSITION}
    proposals = []
    for root in roots:
        followers = [item.difference for item in explained if item.cause_key == root.key]
        if root.kind in COPIES_ORDER and root.broker_order is not None and root.fills_are_complete:
            proposals.append(_copy_order(root, followers, record, evidence))
        elif root.kind in ADJUSTS_POSITION and root.symbol not in blocked:
            proposals.append(_adjust_position(root, record, evidence))
        elif root.kind == Kind.PENDING_NEVER_FILLED:
            proposals.append(_rebuild(root, record, evidence))
    return proposals


# --- Copying an order with its fills ------------------------------------------------------------------------


def _copy_order(
    root: Difference, followers: list[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal:
    about_orders = [root, *(d for d in followers if d.broker_order is not None)]
    operations: list[Operation] = []
    fills: list[BrokerFill] = []
    seen: set[str] = set()
    for difference in about_orders:
        order = difference.broker_order
        if order is None or order.broker_order_id in seen:
            continue
        seen.add(order.broker_order_id)
        fills.extend(difference.new_fills)
        operations.append(_copy_operation(difference))
    action = {
        Kind.OUR_ORDER_UNLINKED: "import_order",
        Kind.EXTERNAL_ORDER: "adopt_order",
        Kind.REPLACE_CHAIN: "follow_replacement",
        Kind.UNCONFIRMED_SUBMIT: "link_order",
    }.get(root.kind, "update_order")
    before_position, after_position, broker_position = _position_columns(root.symbol, fills, record, evidence)
    order = root.broker_order
    assert order is not None  # noqa: S101  # the caller has checked; this tells the type checker
    their_order = {**order_facts(order), "fills": [_fill_text(fill) for fill in root.new_fills]}
    return _proposal(
        root,
        action=action,
        title=f"{_VERBS[action]} {order.side} {plain(order.qty) or '$' + str(plain(order.notional))} {order.symbol}",
        operations=operations,
        before={"order": _local_order(root), "position": before_position},
        broker={"order": their_order, "position": broker_position},
        after={"order": {**their_order, "submission_state": "confirmed"}, "position": after_position},
        moved=[_moved(difference) for difference in about_orders],
    )


_VERBS = {
    "import_order": "Record our order",
    "adopt_order": "Adopt the outside order",
    "follow_replacement": "Record the replacement",
    "link_order": "Confirm the order",
    "update_order": "Update the order",
}


def _copy_operation(difference: Difference) -> Operation:
    order = difference.broker_order
    assert order is not None  # noqa: S101  # the caller has checked; this tells the type checker
    linked = difference.order_pk if difference.kind != Kind.REPLACE_CHAIN else None
    return {
        "op": "book_order" if linked else "import_order",
        "order_pk": linked,
        "origin": "external" if difference.kind == Kind.EXTERNAL_ORDER else "backfill",
        "order": order.raw,
        "fills": [fill.raw for fill in difference.new_fills],
    }


def _local_order(root: Difference) -> Facts:
    if root.kind == Kind.REPLACE_CHAIN:
        return {}
    if root.kind == Kind.MISSING_FILL and root.broker_order is not None:
        # The order itself agrees; only its fills are missing.
        return {**order_facts(root.broker_order), "fills": []}
    return root.local


def _moved(difference: Difference) -> Mapping[str, Any]:
    """What must still be the same when the fix is applied."""
    return {
        "key": difference.key,
        "local": difference.local,
        "broker": difference.broker,
        "fills": [_fill_text(fill) for fill in difference.new_fills],
    }


# --- Adjusting a position that no fill explains -------------------------------------------------------------


def _adjust_position(root: Difference, record: LocalRecord, evidence: BrokerEvidence) -> Proposal:
    """Book the gap as an explicit, signed entry. It infers, so it always needs a person and is marked estimated."""
    ledger = record.ledgers.get(root.symbol, ())
    position = evidence.positions.get(root.symbol)
    there = position.qty if position else Decimal(0)
    trips = fold(ledger)
    folded = trips[-1].qty if trips else Decimal(0)
    if root.kind != Kind.POSITION_AVG_PRICE and folded == there:
        return _rebuild(root, record, evidence)
    entry = _adjusting_entry(root, folded, evidence, trips[-1] if trips else None)
    entries = (entry, *_average_after([*ledger, entry], entry, evidence.positions.get(root.symbol)))
    before, after, broker = _position_columns(root.symbol, [], record, evidence, extra=entries)
    is_average = root.kind == Kind.POSITION_AVG_PRICE
    title = f"Take over Alpaca's average price of {root.symbol}" if is_average else _adjust_title(root.symbol, entry)
    return _proposal(
        root,
        action="adjust_average" if is_average else "adjust_position",
        title=title,
        operations=[_adjust_operation(root, each) for each in entries],
        before={"position": before},
        broker={"position": broker},
        after={"position": after},
        moved=[_moved(root)],
    )


def _adjust_operation(root: Difference, entry: LedgerEntry) -> Operation:
    return {
        "op": "book_adjustment",
        "kind": entry.kind,
        "symbol": root.symbol,
        "qty": plain(entry.qty),
        "price": plain(entry.price),
        "reference": entry.order_key,
        "reason": root.sentence,
        "is_estimated": entry.is_estimated,
    }


def _average_after(
    ledger: list[LedgerEntry], entry: LedgerEntry, position: BrokerPosition | None
) -> tuple[LedgerEntry, ...]:
    """The quantity is right now; if the average is not Alpaca's, take that over in the same fix."""
    trips = fold(ledger)
    if entry.kind == "average" or position is None or not trips or averages_agree(trips[-1].avg_entry_price, position):
        return ()
    # The longer reference sorts behind the correction of the same moment.
    return (
        replace(
            entry,
            kind="average",
            qty=Decimal(0),
            price=position.avg_entry_price,
            order_key=f"{entry.order_key}:average",
        ),
    )


def _adjusting_entry(
    root: Difference, folded: Decimal, evidence: BrokerEvidence, trip: RoundTrip | None
) -> LedgerEntry:
    """The price is Alpaca's average where it holds the position; a vanished position leaves at its own average.

    Leaving at the average books no profit or loss: the true exit price is not known, and a guess would be one.
    """
    position = evidence.positions.get(root.symbol)
    there = position.qty if position else Decimal(0)
    gap = there - folded
    reduces = trip is not None and trip.qty != 0 and (gap > 0) != (trip.qty > 0) and abs(gap) <= abs(trip.qty)
    if root.kind == Kind.POSITION_AVG_PRICE:
        assert position is not None  # noqa: S101  # an average differs only where Alpaca holds the position
        gap, price = Decimal(0), position.avg_entry_price
    elif reduces and trip is not None:
        price = trip.avg_entry_price
    elif position is not None:
        price = _price_that_gives(position.avg_entry_price, there, trip)
    else:
        price = trip.avg_entry_price if trip else Decimal(0)
    # The entry is dated after everything that the ledger already holds and what this read has seen.
    at = evidence.read_started_at
    digest = hashlib.sha256(f"{root.key}|{plain(folded)}|{plain(there)}|{plain(price)}".encode()).hexdigest()[:24]
    return LedgerEntry(
        at=at,
        order_key=f"{root.key}:{digest}",
        qty=gap,
        price=price,
        kind="average" if root.kind == Kind.POSITION_AVG_PRICE else "correction",
        is_estimated=root.kind != Kind.POSITION_AVG_PRICE,
    )


def _price_that_gives(average: Decimal, there: Decimal, trip: RoundTrip | None) -> Decimal:
    """The price at which the added shares must be booked so that the average becomes Alpaca's."""
    if trip is None or trip.qty == 0 or (trip.qty > 0) != (there > 0):
        return average
    added = abs(there) - abs(trip.qty)
    if added <= 0:
        return average
    price = (abs(there) * average - abs(trip.qty) * trip.avg_entry_price) / added
    return price.quantize(Decimal("0.000000001")) if price > 0 else average


def _adjust_title(symbol: str, entry: LedgerEntry) -> str:
    return f"Book {'+' if entry.qty > 0 else ''}{plain(entry.qty)} {symbol} at {plain(entry.price)} as a correction"


def _rebuild(root: Difference, record: LocalRecord, evidence: BrokerEvidence) -> Proposal:
    before, after, broker = _position_columns(root.symbol, [], record, evidence)
    return _proposal(
        root,
        action="rebuild_position",
        title=f"Rebuild the position in {root.symbol} from its fills",
        operations=[{"op": "rebuild", "symbol": root.symbol}],
        before={"position": before},
        broker={"position": broker},
        after={"position": after},
        moved=[_moved(root)],
    )


# --- Columns: database | Alpaca | after fix -----------------------------------------------------------------


def _position_columns(
    symbol: str,
    fills: Iterable[BrokerFill],
    record: LocalRecord,
    evidence: BrokerEvidence,
    *,
    extra: tuple[LedgerEntry, ...] = (),
) -> tuple[Facts, Facts, Facts]:
    """Return the position before, after, and at Alpaca."""
    stored = record.positions.get(symbol)
    before: dict[str, Any] = {"state": stored.state if stored else "none", "qty": plain(stored.qty) if stored else "0"}
    if stored is not None:
        before |= {
            "avg_entry_price": plain(stored.avg_entry_price),
            "stop_loss": plain(stored.stop_loss),
            "target": plain(stored.target),
            "total_risk": plain(stored.total_risk),
        }
    trips = fold([*record.ledgers.get(symbol, ()), *map(entry_of, fills), *extra])
    after = _after_facts(symbol, trips, record)
    theirs = evidence.positions.get(symbol)
    broker = {
        "state": "open" if theirs else "none",
        "qty": plain(theirs.qty) if theirs else "0",
        "avg_entry_price": plain(theirs.avg_entry_price) if theirs else None,
    }
    return before, after, broker


def _after_facts(symbol: str, trips: list[RoundTrip], record: LocalRecord) -> Facts:
    if not trips:
        return {"state": "none", "qty": "0"}
    trip = trips[-1]
    if trip.qty == 0:
        return {
            "state": "closed",
            "qty": "0",
            "avg_entry_price": plain(trip.avg_entry_price),
            "avg_exit_price": plain(trip.avg_exit_price),
            "realized_pl": plain(trip.realized_pl),
        }
    facts: dict[str, Any] = {"state": "open", "qty": plain(trip.qty), "avg_entry_price": plain(trip.avg_entry_price)}
    percentages = record.percentages_of(symbol, trip.opened_at, trip.closed_at)
    found = levels(
        entry_price=trip.avg_entry_price,
        side=trip.side,
        stop_loss_pct=percentages.stop_loss_pct,
        target_pct=percentages.target_pct,
    )
    return facts | {
        "stop_loss": plain(found.stop_loss),
        "target": plain(found.target),
        "total_risk": plain(total_risk(found.risk_per_share, trip.qty)),
    }


def _fill_text(fill: BrokerFill) -> str:
    """One line that names everything about a fill that is booked."""
    return f"{fill.activity_id} {fill.side} {plain(fill.qty)} at {plain(fill.price)}"


def _proposal(
    root: Difference,
    *,
    action: str,
    title: str,
    operations: list[Operation],
    before: Facts,
    broker: Facts,
    after: Facts,
    moved: list[Mapping[str, Any]],
) -> Proposal:
    written = [{k: v for k, v in operation.items() if k not in {"order", "fills"}} for operation in operations]
    text = json.dumps([action, written, moved], sort_keys=True, default=str)
    return Proposal(
        key=root.key,
        action=action,
        symbol=root.symbol,
        title=title[:300],
        is_safe_copy=KINDS[root.kind].is_safe_copy,
        operations=tuple(operations),
        before=before,
        broker=broker,
        after=after,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
    )
