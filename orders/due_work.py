"""Find in the rows what is due for orders, and queue it. Run all the time; what a queue lost is found again."""

from datetime import datetime

from broker.models import Account
from broker.stream_state import is_streamed
from orders.chain_carrying import has_chains_to_carry
from orders.change_sending import has_changes_to_carry_out
from orders.models import Order
from orders.placing import has_protection_to_send
from orders.releasing import release_due_batches
from orders.settling import has_unsettled
from work import leases
from work.queue import enqueue_once


def queue_due_work(now: datetime) -> int:
    """Release the batches whose time has come, queue what is to be done, and return how many tasks were queued."""
    release_due_batches(now=now)
    tasks = [("execute", "orders.tasks.execute_batch_task", batch_id) for batch_id in _batches_to_execute(now)]
    for account_id in Account.objects.active().values_list("pk", flat=True):
        if has_unsettled(account_id, now):
            tasks.append(("settle", "orders.tasks.settle_task", account_id))
        if has_chains_to_carry(account_id, now):
            tasks.append(("chain", "orders.tasks.chain_task", account_id))
        if has_changes_to_carry_out(account_id, now):
            tasks.append(("change", "orders.tasks.change_task", account_id))
        if has_protection_to_send(account_id, now):
            tasks.append(("protect", "orders.tasks.protect_task", account_id))
        to_follow = Order.objects.to_follow(now, is_streamed=is_streamed(account_id, now))
        if to_follow.filter(account_id=account_id).exists():
            tasks.append(("follow", "orders.tasks.follow_task", account_id))
    # Queueing what a living process is doing would only make doubles that return at once.
    return sum(
        enqueue_once(f"{name}:{subject}", function, subject, now=now)
        for name, function, subject in tasks
        if leases.is_free(f"{name}:{subject}", now=now)
    )


def _batches_to_execute(now: datetime) -> list[int]:
    sendable = Order.objects.sendable(now).order_by("batch_id")
    return [pk for pk in sendable.values_list("batch_id", flat=True).distinct() if pk is not None]
