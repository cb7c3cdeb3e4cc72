"""What django-q2 runs. Each may come late, twice, or at the same time as its double."""

from django.utils import timezone

from orders.chain_carrying import carry_chains
from orders.change_sending import carry_out_changes
from orders.following import follow_orders
from orders.placing import send_protection
from orders.sending import execute_batch
from orders.settling import settle_orders
from work.queue import mark_started


def execute_batch_task(batch_id: int) -> None:
    mark_started(f"execute:{batch_id}")
    execute_batch(batch_id=batch_id, now=timezone.now())


def settle_task(account_id: int) -> None:
    mark_started(f"settle:{account_id}")
    settle_orders(account_id=account_id, now=timezone.now())


def follow_task(account_id: int) -> None:
    mark_started(f"follow:{account_id}")
    follow_orders(account_id=account_id, now=timezone.now())


def protect_task(account_id: int) -> None:
    mark_started(f"protect:{account_id}")
    send_protection(account_id=account_id, now=timezone.now())


def change_task(account_id: int) -> None:
    mark_started(f"change:{account_id}")
    carry_out_changes(account_id=account_id, now=timezone.now())


def chain_task(account_id: int) -> None:
    mark_started(f"chain:{account_id}")
    carry_chains(account_id=account_id, now=timezone.now())
