"""The protection board: open positions, judged by the open orders of the last complete picture."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import QueryDict

from broker.models import Account
from broker.times import NEW_YORK
from orders.lifecycle import TERMINAL_STATUSES
from orders.models import Order
from positions.models import Position
from reconciliation.models import Run, RunSnapshot
from reconciliation.protection import (
    Coverage,
    Held,
    Judged,
    LiveOrder,
    Protection,
    Totals,
    live_order,
    protection_of,
    totals_of,
    unknown,
    was_opened_before,
)
from ui.formatting import price, qty
from ui.tables import Column, Table

#: An older picture says nothing about now: day orders end, stops trigger, people cancel.
OLD_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The part of the last complete run's picture that the board needs."""

    run_id: int
    read_at: datetime
    ours: Mapping[str, Any]  # positions in the database then, by symbol
    theirs: Mapping[str, Any]  # positions at Alpaca, by symbol
    orders: Mapping[str, list[LiveOrder]]  # by symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    judged: Judged
    position: Position | None  # none: it is held at Alpaca and not in our books

    @property
    def held(self) -> Held:
        return self.judged.held

    @property
    def protection(self) -> Protection:
        return self.judged.protection

    @property
    def side(self) -> str:
        return "long" if self.held.is_long else "short"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionBoard:
    picture: Picture | None
    is_old: bool
    failed_since: int | None  # a later run that could not read everything
    rows: list[Row]
    totals: Totals

    @property
    def naked(self) -> int:
        return self.totals.count_of(Coverage.NAKED)


def protection_board(account: Account, now: datetime) -> ProtectionBoard:
    picture = _last_picture(account, now)
    is_old = picture is not None and picture.read_at < now - OLD_AFTER
    rows = [*_own_rows(account, picture, now, is_old=is_old), *_unrecorded_rows(account, picture, is_old=is_old)]
    return ProtectionBoard(
        picture=picture,
        is_old=is_old,
        failed_since=_failed_since(account, picture),
        rows=rows,
        totals=totals_of([row.judged for row in rows]),
    )


# --- The picture ----------------------------------------------------------------------------------------------


def _last_picture(account: Account, now: datetime) -> Picture | None:
    wanted = ("run_id", "taken_at", "local__positions", "broker__positions", "broker__orders")
    found = RunSnapshot.objects.filter(run__account=account).order_by("-run_id").values(*wanted).first()
    if found is None:
        return None
    orders: dict[str, list[LiveOrder]] = {}
    gone = _ended_since(account, [facts["broker_order_id"] for facts in found["broker__orders"]])
    day_is_over = a_close_lies_between(found["taken_at"], now)
    for facts in found["broker__orders"]:
        is_over = day_is_over and facts["time_in_force"] == "day"
        if facts["broker_order_id"] not in gone and not is_over:
            orders.setdefault(facts["symbol"], []).append(live_order(facts))
    return Picture(
        run_id=found["run_id"],
        read_at=found["taken_at"],
        ours=found["local__positions"],
        theirs=found["broker__positions"],
        orders=orders,
    )


def a_close_lies_between(taken_at: datetime, now: datetime) -> bool:
    """Whether day orders of then may be over. Half days and holidays are not known here: rather too soon than late."""
    then = taken_at.astimezone(NEW_YORK)
    close = then.replace(hour=16, minute=0, second=0, microsecond=0)
    return now >= (close if then < close else close + timedelta(days=1))


def _ended_since(account: Account, order_ids: list[str]) -> set[str]:
    """Orders are followed between two runs: one that has ended since the picture guards nothing any more."""
    ended = Order.objects.filter(account=account, status__in=TERMINAL_STATUSES).exclude(broker_order_id="")
    known = set(order_ids)
    found: set[str] = set()
    for start in range(0, len(order_ids), 2000):
        some = ended.filter(broker_order_id__in=order_ids[start : start + 2000])
        found |= known & set(some.values_list("broker_order_id", flat=True))
    return found


def _failed_since(account: Account, picture: Picture | None) -> int | None:
    later = Run.objects.filter(account=account, state=Run.State.INCOMPLETE).order_by("-pk")
    if picture is not None:
        later = later.filter(pk__gt=picture.run_id)
    return later.values_list("pk", flat=True).first()


# --- The rows -------------------------------------------------------------------------------------------------


def _own_rows(account: Account, picture: Picture | None, now: datetime, *, is_old: bool) -> Iterable[Row]:
    for position in Position.objects.filter(account=account).open().order_by("symbol"):
        theirs = _qty(picture.theirs, position.symbol) if picture else None
        # What must be guarded is what the broker holds; our books only plan it.
        size = position.qty if not theirs or (picture and _has_moved(position, picture)) else theirs
        last = position.last_price
        if last is None and picture:
            last = _price(picture.theirs, position.symbol)
        held = Held(
            symbol=position.symbol,
            qty=size,
            last=last,
            stop=position.stop_loss,
            target=position.target,
            is_overnight=was_opened_before(position.opened_at, now),
        )
        judged = Judged(held=held, protection=_judge(held, position, picture, is_old=is_old))
        yield Row(judged=judged, position=position)


def _judge(held: Held, position: Position, picture: Picture | None, *, is_old: bool) -> Protection:
    if picture is None:
        return unknown("No complete run has looked yet.")
    if is_old:
        return unknown("The last complete picture is too old.")
    if _has_moved(position, picture):
        return unknown("Its quantity changed after the picture was taken.")
    if not _qty(picture.theirs, position.symbol):
        return unknown("Alpaca holds none of it: reconcile first.")
    return protection_of(held, picture.orders.get(position.symbol, []))


def _has_moved(position: Position, picture: Picture) -> bool:
    """Our books changed since. What differed then as it does now, or agrees by now, did not move at the broker."""
    seen = {_qty(picture.ours, position.symbol), _qty(picture.theirs, position.symbol)}
    return position.qty not in seen


def _unrecorded_rows(account: Account, picture: Picture | None, *, is_old: bool) -> Iterable[Row]:
    """Held at Alpaca and not in our books: nobody has planned a stop for it."""
    if picture is None or is_old:
        return
    recorded = set(Position.objects.filter(account=account).open().values_list("symbol", flat=True))
    for symbol in sorted(set(picture.theirs) - recorded):
        size = _qty(picture.theirs, symbol)
        if not size or _qty(picture.ours, symbol):
            continue  # closed in our books since: the next run will tell
        held = Held(symbol=symbol, qty=size, last=_price(picture.theirs, symbol), stop=None, target=None)
        judged = Judged(held=held, protection=protection_of(held, picture.orders.get(symbol, [])))
        yield Row(judged=judged, position=None)


def _qty(side: Mapping[str, Any], symbol: str) -> Decimal:
    return Decimal(side[symbol]["qty"]) if symbol in side else Decimal(0)


def _price(side: Mapping[str, Any], symbol: str) -> Decimal | None:
    text = side[symbol]["current_price"] if symbol in side else None
    return None if text is None else Decimal(text)


# --- The list -------------------------------------------------------------------------------------------------


def levels_of(orders: Iterable[LiveOrder], level: Callable[[LiveOrder], Decimal | None]) -> str:
    """The live orders of one kind in short: 172.30 × 50, 170.00 × 24."""
    found = list(orders)
    if len(found) == 1:
        return price(level(found[0]))
    return ", ".join(f"{price(level(order))} × {qty(order.leaves)}" for order in found)


def live_stop(row: Row) -> str:
    return levels_of(row.protection.stops, lambda order: order.stop_price)


def live_target(row: Row) -> str:
    return levels_of(row.protection.targets, lambda order: order.limit_price)


_RANK = {coverage: number for number, coverage in enumerate(Coverage)}


def _number(name: str, label: str, value: Callable[[Row], Any], about: str = "") -> Column[Row]:
    return Column(name=name, label=label, kind="number", value=value, about=about)


TABLE: Table[Row] = Table(
    in_database=False,
    has_chooser=True,
    default_sort="-exposed",
    columns=(
        Column(name="symbol", label="Symbol", value=lambda row: row.held.symbol),
        Column(name="protection", label="Protection", value=lambda row: row.protection.coverage.value),
        _number("qty", "Quantity", lambda row: row.held.qty, "Held at Alpaca; negative for a short"),
        _number("covered_qty", "With stop", lambda row: _known(row, row.protection.covered_qty), "Has a live stop"),
        _number("last_price", "Last", lambda row: row.held.last, "Last price read from Alpaca, USD a share"),
        _number("plan_stop", "Stop, plan", lambda row: row.held.stop, "USD a share"),
        Column(name="live_stop", label="Stop, live", kind="number", value=lambda r: live_stop(r) or None),
        _number("plan_target", "Target, plan", lambda row: row.held.target, "USD a share"),
        Column(name="live_target", label="Target, live", kind="number", value=lambda r: live_target(r) or None),
        _number(
            "to_plan_stop",
            "Unprotected",
            lambda row: row.protection.to_plan_stop,
            "Quantity without a stop, times last price less planned stop, USD",
        ),
        _number("exposed", "Exposed", lambda row: row.protection.exposed, "Market value without a stop, USD"),
        Column(name="notes", label="What to know", value=lambda row: " ".join(row.protection.notes)),
        Column(name="side", value=lambda row: row.side),
        Column(name="is_recorded", value=lambda row: row.position is not None),
        Column(name="stop_order_ids", value=lambda row: " ".join(o.order_id for o in row.protection.stops)),
    ),
)


def _known(row: Row, value: Decimal) -> Decimal | None:
    return None if row.protection.coverage == Coverage.UNKNOWN else value


def listed(rows: Iterable[Row], params: QueryDict) -> list[Row]:
    """Return the rows that ?status= (the coverage), ?side= and ?q= (part of a symbol) leave, gravest first."""
    found = sorted(rows, key=lambda row: _RANK[row.protection.coverage])
    if status := params.get("status"):
        found = [row for row in found if row.protection.coverage == status]
    if side := params.get("side"):
        found = [row for row in found if row.side == side]
    if part := params.get("q", "").strip().upper():
        found = [row for row in found if part in row.held.symbol.upper()]
    return found
