"""The few things a backfill can write, and the way back from each. All of them write our database only."""

from collections.abc import Mapping
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
from positions.models import Adjustment
from reconciliation.errors import FixRefused

#: Every column of an order that anything may change, and so must be able to be put back.
ORDER_COLUMNS = tuple(
    field.attname
    for field in Order._meta.concrete_fields
    if field.attname not in {"id", "account_id", "batch_id", "client_order_id", "recorded_at"}
)


@dataclass(slots=True)
class Undo:
    """What must be deleted and what must be put back to reverse a fix."""

    created: dict[str, list[int]] = field(default_factory=lambda: {"orders": [], "fills": [], "adjustments": []})
    restored: list[dict[str, Any]] = field(default_factory=list)

    def as_plan(self) -> dict[str, Any]:
        return {"created": self.created, "restored": self.restored}


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
            undo.created["adjustments"].append(_adjust(operation, account, fix_pk, now, actor).pk)
        case "rebuild":
            pass  # the positions of the symbol are rebuilt after every plan
        case unknown:
            raise FixRefused(f"This version does not know the operation {unknown!r}.")


def _known(account: Account, facts: BrokerOrder) -> Order | None:
    """The row that somebody recorded meanwhile: it is brought up to date, and undoing will not delete it."""
    mine = Order.objects.filter(account=account)
    linked = mine.filter(broker_order_id=facts.broker_order_id).first()
    return linked or mine.filter(client_order_id=facts.client_order_id).first()


def _update(order: Order, operation: Mapping[str, Any], undo: Undo, now: datetime, actor: str) -> None:
    before, events = _columns(order), list(order.events.values_list("pk", flat=True))
    book_order(order=order, facts=to_order(operation["order"]), now=now, actor=actor)
    _book_fills(operation, order, undo, now, actor)
    order.refresh_from_db()
    undo.restored.append({"order": order.pk, "before": before, "after": _columns(order), "events_before": events})


def _book_fills(operation: Mapping[str, Any], order: Order, undo: Undo, now: datetime, actor: str) -> None:
    for raw in operation["fills"]:
        fact = to_activity(raw)
        if not isinstance(fact, BrokerFill):
            raise FixRefused(f"Activity {fact.activity_id} is no fill: {fact.activity_type}.")
        fill = book_fill(order=order, fill=fact, now=now, actor=actor)
        if fill is not None:
            undo.created["fills"].append(fill.pk)


def _adjust(operation: Mapping[str, Any], account: Account, fix_pk: int, now: datetime, actor: str) -> Adjustment:
    return Adjustment.objects.create(
        account=account,
        symbol=operation["symbol"],
        kind=operation["kind"],
        qty=exact(operation["qty"]),
        price=exact(operation["price"]),
        effective_at=now,
        reference=operation["reference"],
        reason=f"Fix {fix_pk}: {operation['reason']}"[:300],
        is_estimated=operation["is_estimated"],
        recorded_at=now,
        recorded_by=actor,
    )


# --- The way back ---------------------------------------------------------------------------------------------


def check_reversible(plan: Mapping[str, Any]) -> None:
    """Refuse when a later event stands on what the fix wrote: undoing it would tear that down too."""
    created = plan["created"]
    later = Fill.objects.filter(order_id__in=created["orders"]).exclude(pk__in=created["fills"])
    if later.exists():
        raise FixRefused("Later fills were booked on the order that this fix recorded. Undo those first.")
    for item in plan["restored"]:
        order = Order.objects.get(pk=item["order"])
        now_is = _columns(order)
        moved = sorted(name for name in ORDER_COLUMNS if now_is[name] != item["after"].get(name))
        if moved:
            raise FixRefused(
                f"Order {order.pk} changed after this fix ({', '.join(moved)}), so it cannot be put back as it was."
            )


def reverse(plan: Mapping[str, Any]) -> None:
    """Put everything back. Rows that the fix made go; the journal keeps what they were."""
    created = plan["created"]
    Fill.objects.filter(pk__in=created["fills"]).delete()
    Adjustment.objects.filter(pk__in=created["adjustments"]).delete()
    for item in plan["restored"]:
        values = {name: _load(name, item["before"].get(name)) for name in ORDER_COLUMNS}
        Order.objects.filter(pk=item["order"]).update(**values)
        OrderEvent.objects.filter(order_id=item["order"]).exclude(pk__in=item["events_before"]).delete()
    Order.objects.filter(pk__in=created["orders"]).delete()


def _columns(order: Order) -> dict[str, Any]:
    """The order's changeable columns as JSON can keep them."""
    return {name: _dump(getattr(order, name)) for name in ORDER_COLUMNS}


def _dump(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, (str, int, bool, dict, list)):
        return value
    return plain(value)


def _load(name: str, value: Any) -> Any:
    column = next(field for field in Order._meta.concrete_fields if field.attname == name)
    if value is None or isinstance(column, models.JSONField):
        return value
    return column.to_python(value)
