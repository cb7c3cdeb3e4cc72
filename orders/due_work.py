"""Find in the rows what is due for orders, and queue it. Run every second; what a queue lost is found again."""

from datetime import datetime

from broker.models import Account
from orders.models import Order
from orders.releasing import release_due_batches
from orders.settling import is_abandoned, is_due, over_but_not_finished
from work.holders import is_gone
from work.models import Lease
from work.queue import enqueue_once


def queue_due_work(now: datetime) -> int:
    """Release the batches whose time has come, queue what is to be done, and return how many tasks were queued."""
    release_due_batches(now=now)
    tasks = [("execute", "orders.tasks.execute_batch_task", batch_id) for batch_id in _batches_to_execute(now)]
    for account_id in Account.objects.active().values_list("pk", flat=True):
        if _has_unsettled(account_id, now):
            tasks.append(("settle", "orders.tasks.settle_task", account_id))
        if Order.objects.to_follow(now).filter(account_id=account_id).exists():
            tasks.append(("follow", "orders.tasks.follow_task", account_id))
    busy = _held_leases(now)
    return sum(
        enqueue_once(f"{name}:{subject}", function, subject, now=now)
        for name, function, subject in tasks
        if f"{name}:{subject}" not in busy
    )


def _batches_to_execute(now: datetime) -> list[int]:
    sendable = Order.objects.sendable(now).order_by("batch_id")
    return [pk for pk in sendable.values_list("batch_id", flat=True).distinct() if pk is not None]


def _has_unsettled(account_id: int, now: datetime) -> bool:
    ours = Order.objects.filter(account_id=account_id)
    if any(is_abandoned(order, now) for order in ours.submitting()):
        return True
    return any(is_due(order, now) for order in ours.unconfirmed()) or bool(over_but_not_finished(account_id))


def _held_leases(now: datetime) -> set[str]:
    """Work that a living process is doing: queueing it again would only make doubles that return at once."""
    leases = Lease.objects.filter(expires_at__gt=now).exclude(holder="").exclude(holder="queue")
    return {lease.name for lease in leases if not is_gone(lease.holder)}
