"""Record that an order leaves only after what holds its shares was cancelled; chain_carrying.py does it.

Recorded here inside the caller's transaction, together with the order.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from broker.models import Account
from orders.chain_models import CancelFirst, is_fresh
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order
from orders.querysets import due_for_sending, unbatched

State = CancelFirst.State


def record_cancel_first(orders: list[Order]) -> None:
    """Let these orders, which were just recorded, wait for their cancels."""
    CancelFirst.objects.bulk_create(CancelFirst(order=order) for order in orders)


def record_swap(order: Order, *, instead_of: Sequence[str], stop_again: str) -> None:
    """Let a pair of exits wait for the cancels of the exits whose broker_order_ids are given: all that hold shares."""
    CancelFirst.objects.create(order=order, cancels=[{"id": one} for one in instead_of], stop_again=stop_again)


def is_wanted_for(order: Order) -> bool:
    return CancelFirst.objects.filter(order=order).exists()


def wait_anew(order: Order) -> None:
    """The order is to be sent again: what was proven for its first attempt says nothing about the next one."""
    CancelFirst.objects.filter(order=order).update(
        state=State.WAITING, looked_at=None, began_at=None, proven_at=None, cancels=[], held="", outcome=""
    )


def under_way(account: Account) -> "QuerySet[CancelFirst]":
    """Between the first cancel and the claim of the order: nothing else may be placed or judged in its symbol."""
    # Not by a join alone: SQLite would walk all orders of the account.
    unsent = Order.objects.filter(account=account, submission_state=SubmissionState.RECORDED).order_by()
    return CancelFirst.objects.filter(state__in=[State.CANCELLING, State.PROVEN], order__in=unsent.values("pk"))


def may_begin(now: datetime) -> Q:
    """Orders that could be sent now but for the cancels, which the kill switch holds as it holds the order."""
    return Q(
        due_for_sending(now),
        Q(batch__in=Batch.objects.sending(now).values("pk")) | unbatched(now),
        submission_state=SubmissionState.RECORDED,
        account__in=Account.objects.filter(is_active=True, sending_halted=False).values("pk"),
    )


def outdated(account_id: int, now: datetime) -> "QuerySet[CancelFirst]":
    """Begun and not proven in time, proven and not sent in time, or its order was denied meanwhile."""
    recorded = Q(order__submission_state=SubmissionState.RECORDED)
    unproven = Q(state=State.CANCELLING) & ~is_fresh("began_at", now)
    unsent = Q(recorded, state=State.PROVEN) & ~is_fresh("proven_at", now)
    denied = Q(state__in=(State.WAITING, State.CANCELLING)) & ~recorded
    return CancelFirst.objects.filter(unproven | unsent | denied, order__account_id=account_id)
