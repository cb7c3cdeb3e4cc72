"""The few things a backfill can write, and the way back from each. All of them write our database only."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models

from broker.mapping import to_activity, to_order
from broker.models import Account
from broker.numbers import exact, plain
from broker.types import BrokerFill, BrokerOrder
from orders.booking import book_fill, book_order, import_order
from orders.models import Fill, Order, OrderEvent
from positions.cash import forget_subtotal
from positions.models import Adjustment, CashEntry, Position
from positions.projecting import LEVELS
from reconciliation.adjustment_repairs import book_adjustment, check_ledger
from reconciliation.corporate_operations import book
from reconciliation.errors import FixRefused
from reconciliation.followed_levels import Followed, followed_levels
from reconciliation.order_repairs import (
    AS_SEEN,
    accept_terms,
    check_change_is_closed,
    close_change,
    put_back,
    reopen_change,
    void_order,
    write_as_seen,
)

#: Every column of an order that a fix may change, and so must be able to be put back. When it was last asked for
#: says nothing about it, and changes all the time.
ORDER_COLUMNS = tuple(
    field.attname
    for field in Order._meta.concrete_fields
    if field.attname not in {"id", "account_id", "batch_id", "client_order_id", "recorded_at", "followed_at"}
)
#: A position row that was never open: it follows from no fill, so no rebuild could bring it back.
_NEVER_OPEN = ("symbol", "sequence", "state", "side", "closed_at")
_ROUND_TRIP = ("symbol", "opened_at", "closed_at", "side")
_FILL_COLUMNS = tuple(field.attname for field in Fill._meta.concrete_fields)
_ADJUSTMENT_COLUMNS = tuple(field.attname for field in Adjustment._meta.concrete_fields)


@dataclass(slots=True)
class Undo:
    """What must be deleted and what must be put back to reverse a fix."""

    created: dict[str, list[int]] = field(
        default_factory=lambda: {"orders": [], "fills": [], "adjustments": [], "cash_entries": []}
    )
    restored: list[dict[str, Any]] = field(default_factory=list)
    taken_out: list[dict[str, Any]] = field(default_factory=list)  # columns of fills that the fix removed
    taken_back: list[dict[str, Any]] = field(default_factory=list)  # columns of adjustments that the fix removed
    changes: list[dict[str, Any]] = field(default_factory=list)  # wishes to change an order, as they were
    never_open: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # before and after
    closed: list[dict[str, Any]] = field(default_factory=list)  # before
    followed: dict[str, Followed] = field(default_factory=dict)  # before and after

    def note_positions_before(self, account: Account, symbols: Collection[str]) -> None:
        self.never_open["before"] = _never_open(account, symbols)
        self.followed["before"] = followed_levels(account, symbols)
        rows = Position.objects.filter(account=account, symbol__in=symbols).closed()
        traded = rows.filter(opened_at__isnull=False).order_by("symbol", "sequence")
        self.closed = [{name: _dump(getattr(row, name)) for name in (*_ROUND_TRIP, *LEVELS)} for row in traded]

    def note_positions_after(self, account: Account, symbols: Collection[str]) -> None:
        self.never_open["after"] = _never_open(account, symbols)
        self.followed["after"] = followed_levels(account, symbols)

    def as_plan(self) -> dict[str, Any]:
        orders = Order.objects.filter(pk__in=self.created["orders"])
        return {
            "created": self.created,
            "created_orders": {str(order.pk): _columns(order) for order in orders},
            "restored": self.restored,
            "taken_out": self.taken_out,
            "taken_back": self.taken_back,
            "changes": self.changes,
            "never_open": self.never_open,
            "closed": self.closed,
            "followed": self.followed,
        }


def _never_open(account: Account, symbols: Collection[str]) -> list[dict[str, Any]]:
    rows = Position.objects.filter(account=account, symbol__in=symbols, opened_at__isnull=True)
    rows = rows.order_by("symbol", "sequence")
    return [{name: _dump(getattr(row, name)) for name in _NEVER_OPEN} for row in rows]


def perform(*, operation: Mapping[str, Any], account: Account, fix_pk: int, undo: Undo, now: datetime) -> None:
    """Do one operation of a plan inside the caller's transaction, and note the way back."""
    actor = f"fix:{fix_pk}"
    match operation["op"]:
        case "import_order":
            facts = to_order(operation["order"])
            known = _known(account, facts)
            if known is None:
                order = import_order(account=account, facts=facts, origin=operation["origin"], now=now, actor=actor)
                undo.created["orders"].append(order.pk)
                _book_fills(operation, order, undo, now, actor)
            else:
                _update(known, operation, undo, now, actor)
        case "book_order":
            _update(Order.objects.get(pk=operation["order_pk"], account=account), operation, undo, now, actor)
        case "book_adjustment":
            check_ledger(operation, account, is_first=not undo.created["adjustments"])
            number = len(undo.created["adjustments"]) + 1
            undo.created["adjustments"].append(book_adjustment(operation, account, fix_pk, number, now).pk)
        case "take_back_adjustment":
            check_ledger(operation, account, is_first="stands_on" in operation)
            _take_back(operation, account, undo)
        case "take_out_fill":
            _take_out(operation, account, undo, now, actor)
        case "accept_terms" | "void_order" as name:
            order = Order.objects.get(pk=operation["order_pk"], account=account)
            change_order = accept_terms if name == "accept_terms" else void_order
            with _noted(order, undo):
                change_order(operation=operation, order=order, now=now, actor=actor)
        case "close_change":
            undo.changes.append(close_change(operation=operation, account=account, now=now))
        case "book_entry" | "book_cash_entry" | "book_cash_correction":
            table, pks = book(operation=operation, account=account, fix_pk=fix_pk, now=now)
            undo.created[table] += pks
        case "rebuild":
            pass  # the positions of the symbol are rebuilt after every plan
        case unknown:
            raise FixRefused(f"This version does not know the operation {unknown!r}.")


def _known(account: Account, facts: BrokerOrder) -> Order | None:
    """The row that somebody recorded meanwhile: it is brought up to date, and undoing will not delete it."""
    mine = Order.objects.filter(account=account)
    linked = mine.filter(broker_order_id=facts.broker_order_id).first()
    return linked or mine.filter(client_order_id=facts.client_order_id).first()


@contextmanager
def _noted(order: Order, undo: Undo) -> Iterator[None]:
    """Undoing puts back what was before, while what is after still stands."""
    before, events = _columns(order), list(order.events.values_list("pk", flat=True))
    yield
    order.refresh_from_db()
    undo.restored.append({"order": order.pk, "before": before, "after": _columns(order), "events_before": events})


def _update(order: Order, operation: Mapping[str, Any], undo: Undo, now: datetime, actor: str) -> None:
    with _noted(order, undo):
        facts = to_order(operation["order"])
        book_order(order=order, facts=facts, now=now, actor=actor)
        if operation.get("restates"):
            _restate(order, facts, now, actor)
        _book_fills(operation, order, undo, now, actor)


def _book_fills(operation: Mapping[str, Any], order: Order, undo: Undo, now: datetime, actor: str) -> None:
    for raw in operation["fills"]:
        fact = to_activity(raw)
        if not isinstance(fact, BrokerFill):
            raise FixRefused(f"Activity {fact.activity_id} is no fill: {fact.activity_type}.")
        fill = book_fill(order=order, fill=fact, now=now, actor=actor)
        if fill is not None:
            undo.created["fills"].append(fill.pk)


def _restate(order: Order, facts: BrokerOrder, now: datetime, actor: str) -> None:
    """Copy what booking refuses: an end that was taken back, a quantity that became less."""
    if (order.status, order.filled_qty) == (facts.status, facts.filled_qty):
        return
    text = f"{order.status}, {plain(order.filled_qty)} filled → {facts.status}, {plain(facts.filled_qty)} filled"
    names = ("status", "filled_qty", "filled_avg_price", "filled_at", "canceled_at", "expired_at", "failed_at")
    news: dict[str, Any] = {name: getattr(facts, name) for name in names}
    write_as_seen(order, news | {"broker_updated_at": facts.updated_at, "raw": dict(facts.raw), "is_booked": False})
    OrderEvent.objects.create(order=order, at=now, kind="restated", text=text[:500], actor=actor)


def _take_out(operation: Mapping[str, Any], account: Account, undo: Undo, now: datetime, actor: str) -> None:
    """A fill is never edited: the whole row goes, and Alpaca's own comes, if there is one."""
    fill = Fill.objects.select_related("order").filter(account=account, activity_id=operation["activity_id"]).first()
    said = operation["said"]
    if fill is None or (fill.side, fill.qty, fill.price) != (said["side"], exact(said["qty"]), exact(said["price"])):
        raise FixRefused(f"The fill {operation['activity_id']} is not in the ledger as it was shown.")
    order = fill.order
    with _noted(order, undo):
        undo.taken_out.append({name: _dump(getattr(fill, name)) for name in _FILL_COLUMNS})
        fill.delete()
        forget_subtotal(account)
        text = f"{plain(fill.qty)} at {plain(fill.price)} taken out, {fill.activity_id}"
        OrderEvent.objects.create(order=order, at=now, kind="fill taken out", text=text[:500], actor=actor)
        Order.objects.filter(pk=order.pk).update(is_booked=False)
        order.refresh_from_db()
        if "order" in operation:
            _restate(order, to_order(operation["order"]), now, actor)
        _book_fills(operation, order, undo, now, actor)


def _take_back(operation: Mapping[str, Any], account: Account, undo: Undo) -> None:
    line = Adjustment.objects.filter(account=account, reference=operation["reference"]).first()
    if line is None or line.qty != exact(operation["qty"]):
        raise FixRefused(f"The correction {operation['reference']} is not there any more.")
    undo.taken_back.append({name: _dump(getattr(line, name)) for name in _ADJUSTMENT_COLUMNS})
    line.delete()


# --- The way back ---------------------------------------------------------------------------------------------


def check_reversible(plan: Mapping[str, Any], *, account: Account, symbol: str, applied_at: datetime) -> None:
    """Refuse when a later event stands on what the fix wrote: undoing it would tear that down too."""
    created = plan["created"]
    later = Fill.objects.filter(order_id__in=created["orders"]).exclude(pk__in=created["fills"])
    if later.exists():
        raise FixRefused("Later fills were booked on the order that this fix recorded. Undo those first.")
    if Adjustment.objects.filter(pk__in=created["adjustments"]).count() < len(created["adjustments"]):
        raise FixRefused(f"A later fix took back what this one booked in {symbol}. Undo that one first.")
    corrections = Adjustment.objects.filter(account=account, symbol=symbol, recorded_at__gt=applied_at)
    if corrections.exclude(pk__in=created["adjustments"]).exists():
        raise FixRefused(f"A later correction of {symbol} stands on what this fix wrote. Undo that one first.")
    for was in plan.get("changes", ()):
        check_change_is_closed(was)
    changed = [(item["order"], item["after"]) for item in plan["restored"]]
    for pk, after in [*changed, *plan["created_orders"].items()]:
        order = Order.objects.filter(pk=pk).first()
        if order is None:
            raise FixRefused(f"Order {pk} was removed after this fix. Undo that first.")
        now_is = _columns(order)
        moved = sorted(name for name in ORDER_COLUMNS if now_is[name] != after.get(name))
        if moved:
            raise FixRefused(
                f"Order {order.pk} changed after this fix ({', '.join(moved)}), so it cannot be put back as it was."
            )


def reverse(plan: Mapping[str, Any], *, account: Account) -> None:
    """Put everything back. Rows that the fix made go; the journal keeps what they were."""
    created = plan["created"]
    Fill.objects.filter(pk__in=created["fills"]).delete()
    Adjustment.objects.filter(pk__in=created["adjustments"]).delete()
    CashEntry.objects.filter(pk__in=created.get("cash_entries", ())).delete()
    forget_subtotal(account)
    for columns in plan["taken_out"]:
        Fill.objects.create(**{name: _load(Fill, name, value) for name, value in columns.items()})
    for item in plan["restored"]:
        values = {name: _load(Order, name, item["before"].get(name)) for name in ORDER_COLUMNS}
        was = {name: _load(Order, name, item["after"].get(name)) for name in AS_SEEN}
        put_back(item["order"], was=was, columns=values)
        OrderEvent.objects.filter(order_id=item["order"]).exclude(pk__in=item["events_before"]).delete()
    for was in plan.get("changes", ()):
        reopen_change(was)
    Order.objects.filter(pk__in=created["orders"]).delete()
    for columns in plan["taken_back"]:
        Adjustment.objects.create(**{name: _load(Adjustment, name, value) for name, value in columns.items()})
    _restore_never_open(plan["never_open"], account)


def _restore_never_open(rows: Mapping[str, list[dict[str, Any]]], account: Account) -> None:
    """Entries that wait, and those that were given up, are as before; what came after the fix stays."""
    before = {(row["symbol"], row["sequence"]): row for row in rows["before"]}
    for row in rows["after"]:
        same = {name: _load(Position, name, row[name]) for name in _NEVER_OPEN}
        stored = Position.objects.filter(account=account, opened_at__isnull=True, **same)
        old = before.get((row["symbol"], row["sequence"]))
        if old is None:
            stored.delete()
        elif old != row:
            stored.update(**{name: _load(Position, name, old[name]) for name in _NEVER_OPEN})


def restore_closed(plan: Mapping[str, Any], *, account: Account) -> None:
    """After the rebuild: a closed position keeps the stop, target and risk that it had, which no fill tells."""
    for columns in plan["closed"]:
        same = {name: _load(Position, name, columns[name]) for name in _ROUND_TRIP}
        values = {name: _load(Position, name, columns[name]) for name in LEVELS}
        Position.objects.closed().filter(account=account, **same).update(**values)


def _columns(order: Order) -> dict[str, Any]:
    """The order's changeable columns as JSON can keep them."""
    return {name: _dump(getattr(order, name)) for name in ORDER_COLUMNS}


def _dump(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, (str, int, bool, dict, list)):
        return value
    return plain(value)


def _load(model: type[models.Model], name: str, value: Any) -> Any:
    column = next(field for field in model._meta.concrete_fields if field.attname == name)
    if value is None or isinstance(column, models.JSONField):
        return value
    return column.to_python(value)
