"""The writes that change a recorded order's terms or end a wish to change it, and the way back. Our database only."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import F

from broker.models import Account
from broker.numbers import exact_or_none
from orders.lifecycle import SubmissionState
from orders.models import Order, OrderChange, OrderEvent
from reconciliation.errors import FixRefused
from reconciliation.terms import spell_terms

#: What every booking moves, and what a database can compare.
AS_SEEN = ("submission_state", "status", "broker_updated_at", "is_booked")
_NUMBERS = frozenset({"qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent"})


def accept_terms(*, operation: Mapping[str, Any], order: Order, now: datetime, actor: str) -> None:
    """Copy the terms that were shown onto the row, if it still has those that were shown beside them."""
    was, terms = operation["said"], operation["terms"]
    ours = spell_terms(order)
    if any(ours[name] != was[name] for name in terms):
        raise FixRefused(f"The terms of order {order.pk} are not any more those that were shown.")
    write_as_seen(order, {name: _value(name, text) for name, text in terms.items()})
    said = ", ".join(f"{name} {was[name] or 'none'} → {text or 'none'}" for name, text in terms.items())
    OrderEvent.objects.create(order=order, at=now, kind="terms", text=said[:500], actor=actor)


def write_as_seen(order: Order, columns: Mapping[str, Any]) -> None:
    """Write the columns if nobody has booked anything on the row since it was looked at."""
    as_seen = Order.objects.filter(
        pk=order.pk,
        submission_state=order.submission_state,
        status=order.status,
        broker_updated_at=order.broker_updated_at,
        is_booked=order.is_booked,
    )
    if not as_seen.update(**columns):
        raise FixRefused(f"Order {order.pk} moved meanwhile: nothing was written over what was booked.")
    for name, value in columns.items():
        setattr(order, name, value)


def hold_orders(plan: Mapping[str, Any]) -> None:
    """Take the rows that an undoing looks at until the commit: whoever books on them comes before or after it."""
    pks = [*plan["created"]["orders"], *(item["order"] for item in plan["restored"])]
    Order.objects.filter(pk__in=pks).update(followed_at=F("followed_at"))


def put_back(pk: int, *, was: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Write the columns if the row still is as the fix left it."""
    if not Order.objects.filter(pk=pk, **{name: was[name] for name in AS_SEEN}).update(**columns):
        raise FixRefused(f"Order {pk} moved meanwhile: nothing was put back over what was booked.")


def _value(name: str, text: str | None) -> Any:
    if name in _NUMBERS:
        return exact_or_none(text)
    if name == "extended_hours":
        return text == "true"
    return text or ""


def void_order(*, operation: Mapping[str, Any], order: Order, now: datetime, actor: str) -> None:
    """The order is settled as one that Alpaca does not have. It stays in the books, with all that is known of it."""
    if (order.status, order.broker_order_id) != (operation["said"], operation["broker_order_id"]):
        raise FixRefused(f"Order {order.pk} is not any more as it was shown.")
    if order.submission_state != SubmissionState.CONFIRMED or order.fills.exists():
        raise FixRefused(f"Order {order.pk} has fills, or was settled meanwhile.")
    ended = {"submission_state": SubmissionState.REJECTED.value, "refusal": operation["reason"][:500]}
    write_as_seen(order, ended)
    OrderEvent.objects.create(order=order, at=now, kind="void", text=operation["reason"][:500], actor=actor)


def close_change(*, operation: Mapping[str, Any], account: Account, now: datetime) -> dict[str, Any]:
    """End the wish as refused; return what it was, for the way back."""
    change = OrderChange.objects.filter(pk=operation["change_pk"], account=account, state=operation["said"]).first()
    if change is None:
        raise FixRefused(f"The change of the order in {operation['symbol']} was settled meanwhile.")
    was = {
        "change": change.pk,
        "state": change.state,
        "outcome": change.outcome,
        "settled_at": change.settled_at.isoformat() if change.settled_at else None,
    }
    closed = OrderChange.objects.filter(pk=change.pk, state=change.state).update(
        state=OrderChange.State.REFUSED, outcome=operation["outcome"][:500], settled_at=now
    )
    if not closed:
        raise FixRefused(f"The change of the order in {operation['symbol']} was settled meanwhile.")
    return was


def check_change_is_closed(was: Mapping[str, Any]) -> None:
    if not OrderChange.objects.filter(pk=was["change"], state=OrderChange.State.REFUSED).exists():
        raise FixRefused("The change that this fix ended is not any more as the fix left it.")


def reopen_change(was: Mapping[str, Any]) -> None:
    settled_at = datetime.fromisoformat(was["settled_at"]) if was["settled_at"] else None
    OrderChange.objects.filter(pk=was["change"]).update(
        state=was["state"], outcome=was["outcome"], settled_at=settled_at
    )
