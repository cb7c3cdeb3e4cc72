"""Fixes that act at Alpaca: recorded with the fix, carried out from the rows, failed if Alpaca refuses.

The fix and the wish to cancel, replace or place are committed together; the sending is orders/'s: once, outside of any
transaction, settled by look-ups. A fix that acted cannot be undone; what can be done is the opposite, as another fix.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from broker.models import Account
from broker.numbers import exact, exact_or_none
from orders.chain_carrying import carry_chains
from orders.chain_stops import stops_to_place_again
from orders.chains import record_swap
from orders.change_sending import carry_out_changes
from orders.changing import UNDER_WAY, in_words, record_change
from orders.lifecycle import IN_FLIGHT, SubmissionState
from orders.models import Order, OrderChange
from orders.placing import send_protection
from orders.protecting import record_protection
from reconciliation.errors import FixRefused
from reconciliation.models import Fix
from reconciliation.proposals import replaced_by

log = logging.getLogger(__name__)

_NOT_PLACED = frozenset({SubmissionState.DENIED, SubmissionState.REJECTED, SubmissionState.NOT_PLACED})


def record_at_broker(*, fix: Fix, now: datetime) -> dict[str, Any]:
    """Record what the fix wants done, inside the caller's transaction; return the rows to find it by.

    Raises FixRefused or OrdersError with a sentence: then nothing of it is recorded.
    """
    account = Account.objects.get(pk=fix.account_id)
    found: dict[str, list[int]] = {"changes": [], "orders": []}
    for operation in fix.plan:
        if account.sending_halted and operation["op"] != "cancel_order":
            raise FixRefused(f"Sending is halted for {account.name}: only cancels leave. Resume it first.")
        kind, pk = _record(operation, account, fix, now)
        found[kind].append(pk)
    return {"at_broker": found}


def _record(operation: Mapping[str, Any], account: Account, fix: Fix, now: datetime) -> tuple[str, int]:
    wanted_for = f"fix:{fix.pk}"
    match operation["op"]:
        case "cancel_order" | "replace_order":
            change = record_change(
                account=account,
                broker_order_id=operation["broker_order_id"],
                symbol=operation["symbol"],
                action=operation["op"].removesuffix("_order"),
                wanted=operation.get("wanted"),
                wanted_for=wanted_for,
                actor=fix.approved_by,
                now=now,
            )
            return "changes", change.pk
        case "place_protection":
            order = record_protection(
                account=account,
                symbol=operation["symbol"],
                side=operation["side"],
                qty=exact(operation["qty"]),
                stop_price=exact(operation["stop_price"]),
                target_price=exact_or_none(operation["target_price"]),
                wanted_for=wanted_for,
                actor=fix.approved_by,
                now=now,
            )
            if gone := replaced_by(operation):
                ids = [exit_order["broker_order_id"] for exit_order in gone]
                record_swap(order, instead_of=ids, stop_again=operation["stop_price"])
            return "orders", order.pk
        case unknown:
            raise FixRefused(f"This version does not know how to {unknown!r} at Alpaca.")


def carry_out(account: Account) -> None:
    """Send what applied fixes wait for, and fail those that were refused. Call it outside of any transaction."""
    if not _acting(account):
        return
    carry_out_changes(account_id=account.pk, now=timezone.now())
    carry_chains(account_id=account.pk, now=timezone.now())
    send_protection(account_id=account.pk, now=timezone.now())
    note_refusals(account)
    if stops_to_place_again(account.pk).exists():  # at once: nothing guards the position
        carry_chains(account_id=account.pk, now=timezone.now())
        send_protection(account_id=account.pk, now=timezone.now())


def note_refusals(account: Account) -> None:
    """An applied fix of which Alpaca refused something has failed, for Alpaca's reason."""
    for fix in _acting(account):
        reasons = list(_refusals(fix))
        if reasons:
            applied = Fix.objects.filter(pk=fix.pk, state=Fix.State.APPLIED)
            applied.update(state=Fix.State.FAILED, outcome=" ".join(reasons)[:500])
            log.warning("fix %s of %s failed at Alpaca: %s", fix.pk, account.slug, " ".join(reasons))


def awaits_broker(fix: Fix) -> bool:
    """Something that the fix recorded is not settled yet: no run can say what became of it."""
    changes, orders = _rows(fix)
    return any(change.state in UNDER_WAY for change in changes) or any(
        order.submission_state in IN_FLIGHT for order in orders
    )


def done_at_broker(fix: Fix) -> list[str]:
    """What became of each thing that the fix wanted, in sentences."""
    changes, orders = _rows(fix)
    said = [f"{change.symbol}, to be {in_words(change)}: {_state_of(change)}" for change in changes]
    return said + [
        f"{order}: {order.get_submission_state_display().lower()}. {order.refusal}".strip() for order in orders
    ]


def _state_of(change: OrderChange) -> str:
    return change.outcome or f"{change.get_state_display().lower()}."


def _refusals(fix: Fix) -> Iterable[str]:
    changes, orders = _rows(fix)
    for change in changes:
        if change.state == OrderChange.State.REFUSED:
            yield change.outcome
    for order in orders:
        if order.submission_state in _NOT_PLACED:
            yield f"Order {order.pk} is {order.get_submission_state_display().lower()}: {order.refusal}"


def _rows(fix: Fix) -> tuple[list[OrderChange], list[Order]]:
    found = (fix.undo_plan or {}).get("at_broker") or {"changes": [], "orders": []}
    changes = OrderChange.objects.filter(pk__in=found["changes"]).order_by("pk")
    return list(changes), list(Order.objects.filter(pk__in=found["orders"]).order_by("pk"))


def _acting(account: Account) -> list[Fix]:
    return list(Fix.objects.filter(account=account, state=Fix.State.APPLIED, acts_at_broker=True).order_by("pk"))
