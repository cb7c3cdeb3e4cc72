"""Load from the database the part of our record that a reading touches."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from django.db.models.fields.json import KeyTextTransform

from broker.models import Account, StreamState
from broker.stream_state import NOT_FOLLOWED
from broker.types import BrokerPosition
from orders.alive import working
from orders.changing import symbols_under_way
from orders.lifecycle import IN_FLIGHT, SubmissionState, is_terminal
from orders.models import Batch, Fill, Order, OrderChange
from positions.cash import cash_books
from positions.in_force import ParameterBook
from positions.models import Position
from positions.rebuilding import ledger_of
from reconciliation.agreeing import ended_facts
from reconciliation.cash_record import asset_ids, booked_activities
from reconciliation.entered_values import entered_prices
from reconciliation.evidence import (
    BrokerEvidence,
    ClosedPosition,
    LocalChange,
    LocalFill,
    LocalOrder,
    LocalPosition,
    LocalRecord,
    Percentages,
    StreamFacts,
)
from reconciliation.opposites import wanted_opposites
from reconciliation.order_comparison import group_of
from reconciliation.position_comparison import averages_agree
from reconciliation.recorded_guesses import came_later, guessed_more_than_once
from reconciliation.terms import spell_terms

#: SQLite takes at most 32,766 values in one statement; PostgreSQL plans long lists badly.
IDS_IN_ONE_QUERY = 2000

T = TypeVar("T")


def load_record(*, account: Account, evidence: BrokerEvidence, adds_up_anew: bool = False) -> LocalRecord:
    """Return our side of everything the evidence speaks about, and every position that is not closed."""
    orders = _load_orders(account, evidence)
    by_pk = {order.pk: order for order in orders}
    fills = _load_fills(account, evidence, by_pk)
    stored = list(Position.objects.filter(account=account).not_closed().order_by())
    closed = _closed_without_exit(account)
    symbols = _symbols(evidence, orders, stored) | _symbols_of_fills(evidence, fills)
    guessed = guessed_more_than_once(account)
    symbols |= {position.symbol for position in closed} | guessed
    return LocalRecord(
        orders=tuple(_local_order(order) for order in orders),
        fills=fills,
        positions={position.symbol: _local_position(position) for position in stored},
        ledgers={symbol: tuple(entries) for symbol, entries in ledger_of(account, symbols).items()},
        percentages_of=_percentages_of(account),
        stream=_stream_of(account),
        changes=_unsettled_changes(account, evidence),
        symbols_changing=frozenset(symbols_under_way(account)),
        protection_plan=account.protection_plan,
        opposites=wanted_opposites(account),
        booked_activities=booked_activities(account, evidence),
        asset_ids=asset_ids(account, stored, evidence),
        cash=cash_books(account, anew=adds_up_anew),
        closed=closed,
        entered=entered_prices(account),
        came_later=came_later(account, symbols),
        guessed_more_than_once=guessed,
    )


def _closed_without_exit(account: Account) -> tuple[ClosedPosition, ...]:
    rows = Position.objects.filter(account=account, opened_at__isnull=False, avg_exit_price__isnull=True).closed()
    names = ("symbol", "sequence", "side", "entry_qty", "avg_entry_price", "opened_at", "closed_at")
    found = [ClosedPosition(**{name: getattr(row, name) for name in names}) for row in rows.order_by()]
    return tuple(sorted(found, key=lambda position: (position.symbol, position.sequence)))


def _unsettled_changes(account: Account, evidence: BrokerEvidence) -> tuple[LocalChange, ...]:
    """Wishes that Alpaca is believed to have taken, of orders that can still show otherwise."""
    alive = [order_id for order_id, order in evidence.orders.items() if not is_terminal(order.status)]
    believed = (OrderChange.State.UNCONFIRMED, OrderChange.State.DONE)
    found = []
    for chunk in _chunks(alive):
        rows = OrderChange.objects.filter(account=account, broker_order_id__in=chunk, state__in=believed)
        found += [
            LocalChange(
                pk=row.pk,
                broker_order_id=row.broker_order_id,
                symbol=row.symbol,
                action=row.action,
                state=row.state,
                wanted=dict(row.wanted),
                replaced_by=row.replaced_by,
                requested_at=row.requested_at,
            )
            for row in rows.order_by("pk")
        ]
    return tuple(found)


def _stream_of(account: Account) -> StreamFacts | None:
    state = StreamState.objects.filter(account=account).first()
    if state is None:
        return None
    return StreamFacts(
        is_followed=state.holder != "" and state.gap_reason != NOT_FOLLOWED,
        connected_at=state.connected_at,
        last_heard_at=state.last_heard_at,
        gap_since=state.gap_since,
        gap_reason=state.gap_reason,
    )


def _percentages_of(account: Account) -> Callable[[str, datetime, datetime | None], Percentages]:
    book = ParameterBook(account)

    def of_round_trip(symbol: str, opened_at: datetime, closed_at: datetime | None) -> Percentages:
        found = book.of_round_trip(symbol, opened_at, closed_at)
        return Percentages(stop_loss_pct=found.stop_loss_pct, target_pct=found.target_pct)

    return of_round_trip


def _symbols(evidence: BrokerEvidence, orders: list[Order], stored: list[Position]) -> set[str]:
    """Ledgers are loaded only where something can differ: unrecorded orders, new fills, positions that disagree."""
    held = {position.symbol: position for position in stored}
    disagree = {
        symbol
        for symbol in set(held) | set(evidence.positions)
        if symbol not in held
        or symbol not in evidence.positions
        or held[symbol].qty != evidence.positions[symbol].qty
        or not _averages_agree(held[symbol], evidence.positions[symbol])
    }
    recorded = {order.broker_order_id: order for order in orders if order.broker_order_id}
    touched = {
        theirs.symbol
        for theirs in evidence.orders.values()
        if theirs.broker_order_id not in recorded
        or recorded[theirs.broker_order_id].status != theirs.status
        or recorded[theirs.broker_order_id].filled_qty != theirs.filled_qty
    }
    return disagree | touched


def _averages_agree(held: Position, theirs: BrokerPosition) -> bool:
    return held.avg_entry_price is not None and averages_agree(held.avg_entry_price, theirs)


def _symbols_of_fills(evidence: BrokerEvidence, ours: dict[str, LocalFill]) -> set[str]:
    """Symbols with a fill that only one side has, or each side another way: a ledger is as long as its history."""
    start = evidence.activities_after
    theirs = evidence.fills
    only_ours = {
        fill.symbol
        for activity_id, fill in ours.items()
        if activity_id not in theirs and (start is None or fill.transaction_time > start)
    }
    differ = {
        fill.symbol
        for activity_id, fill in theirs.items()
        if (mine := ours.get(activity_id)) is None
        or (mine.broker_order_id, mine.side, mine.qty, mine.price)
        != (fill.broker_order_id, fill.side, fill.qty, fill.price)
    }
    return only_ours | differ


def _load_orders(account: Account, evidence: BrokerEvidence) -> list[Order]:
    found: dict[int, Order] = {}
    mine = Order.objects.filter(account=account).select_related("batch").defer("raw")
    mine = mine.annotate(group_id=KeyTextTransform("group_id", "raw")).order_by()
    broker_order_ids = list(evidence.orders)
    for order_id in {fill.broker_order_id for fill in evidence.fills.values()} - set(broker_order_ids):
        broker_order_ids.append(order_id)
    for chunk in _chunks(broker_order_ids):
        found.update((order.pk, order) for order in mine.filter(broker_order_id__in=chunk))
    linked = {order.broker_order_id for order in found.values()}
    for chunk in _chunks([o.client_order_id for key, o in evidence.orders.items() if key not in linked]):
        found.update((order.pk, order) for order in mine.filter(client_order_id__in=chunk))
    for pks in _chunks([pk for pk in working(account) if pk not in found]):
        found.update((order.pk, order) for order in mine.filter(pk__in=pks))
    for chunk in _chunks([order.replaces for order in evidence.orders.values() if order.replaces]):
        found.update((order.pk, order) for order in mine.filter(broker_order_id__in=chunk))
    known = {order.broker_order_id for order in found.values()}
    legs = [theirs for theirs in evidence.orders.values() if group_of(theirs) and theirs.broker_order_id not in known]
    for chunk in _chunks(sorted({group_of(leg) for leg in legs})):
        # The parent of a leg that was activated late may lie far back.
        parents = mine.filter(symbol__in={leg.symbol for leg in legs}).exclude(order_class__in=["", "simple"])
        found.update((order.pk, order) for order in parents.filter(raw__group_id__in=chunk))
    return [found[pk] for pk in sorted(found)]


def _load_fills(account: Account, evidence: BrokerEvidence, by_pk: dict[int, Order]) -> dict[str, LocalFill]:
    mine = Fill.objects.filter(account=account).select_related("order").defer("raw", "order__raw").order_by()
    found: dict[str, Fill] = {}
    start = evidence.activities_after
    window = mine if start is None else mine.filter(transaction_time__gt=start)
    found.update((fill.activity_id, fill) for fill in window)
    for chunk in _chunks([activity_id for activity_id in evidence.fills if activity_id not in found]):
        found.update((fill.activity_id, fill) for fill in mine.filter(activity_id__in=chunk))
    if start is not None:
        seen = [pk for pk, order in by_pk.items() if order.broker_order_id in evidence.orders]
        # Not by account or time: their indexes would tempt SQLite to walk the whole history.
        of_orders = Fill.objects.select_related("order").defer("raw", "order__raw").order_by()
        for pks in _chunks(seen):
            these = set(pks)
            known = [fill.pk for fill in found.values() if fill.order_id in these]
            earlier = of_orders.filter(order_id__in=pks).exclude(pk__in=known)
            found.update((fill.activity_id, fill) for fill in earlier)
    return {activity_id: _local_fill(fill) for activity_id, fill in found.items()}


def _chunks(values: list[T]) -> list[list[T]]:
    return [values[start : start + IDS_IN_ONE_QUERY] for start in range(0, len(values), IDS_IN_ONE_QUERY)]


def _local_order(order: Order) -> LocalOrder:
    waiting = order.submission_state == SubmissionState.RECORDED
    released = order.batch is None or order.batch.state == Batch.State.RELEASED
    return LocalOrder(
        pk=order.pk,
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id,
        submission_state=order.submission_state,
        status=order.status,
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
        filled_qty=order.filled_qty,
        filled_avg_price=order.filled_avg_price,
        replaced_by=order.replaced_by,
        broker_updated_at=order.broker_updated_at,
        group_id=getattr(order, "group_id", None) or "",
        terms=spell_terms(order),
        ended=ended_facts(order),
        is_in_flight=order.submission_state in IN_FLIGHT and (released or not waiting),
    )


def _local_fill(fill: Fill) -> LocalFill:
    return LocalFill(
        activity_id=fill.activity_id,
        broker_order_id=fill.order.broker_order_id,
        symbol=fill.symbol,
        side=fill.side,
        qty=fill.qty,
        price=fill.price,
        transaction_time=fill.transaction_time,
    )


def _local_position(position: Position) -> LocalPosition:
    return LocalPosition(
        symbol=position.symbol,
        state=position.state,
        qty=position.qty,
        avg_entry_price=position.avg_entry_price,
        stop_loss=position.stop_loss,
        target=position.target,
        total_risk=position.total_risk,
        opened_at=position.opened_at,
    )
