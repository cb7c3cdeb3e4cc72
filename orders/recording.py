"""Record first: the intent to send is committed, with the id that each order keeps for life, before any is sent."""

import logging
from datetime import datetime

from django.db import transaction

from audit import journal
from broker.decimals import plain
from broker.models import Account
from orders.batch_line import Line
from orders.chains import record_cancel_first
from orders.checking import CheckedBatch
from orders.errors import AccountNotUsable, BatchNotUsable, DuplicateBatch
from orders.identity import new_client_order_id
from orders.models import Batch, Order, OrderEvent
from ui.formatting import counted
from work import correlation

log = logging.getLogger(__name__)


def record_batch(
    *, account: Account, checked: CheckedBatch, actor: str, now: datetime, scheduled_for: datetime | None
) -> Batch:
    """Record the batch, its orders and who recorded them in one transaction. Nothing is sent before its release.

    Raises BatchNotUsable, AccountNotUsable, or DuplicateBatch when the same orders came in meanwhile.
    """
    if not checked.is_usable:
        raise BatchNotUsable(f"{checked.name} has {len(checked.errors)} errors, so nothing of it was recorded.")
    with correlation.carrying(correlation.current_or_new()):
        return _record(account, checked, actor, now, scheduled_for)


def _record(
    account: Account, checked: CheckedBatch, actor: str, now: datetime, scheduled_for: datetime | None
) -> Batch:
    with transaction.atomic():
        _one_recorder_at_a_time(account)
        earlier = Batch.objects.repeating(account.pk, checked.digest, now).first()
        if earlier is not None:
            raise DuplicateBatch(f"The same orders were recorded in the last day already, as batch {earlier.pk}.")
        batch = Batch.objects.create(
            account=account,
            name=checked.name[:200],
            source=checked.source,
            content_digest=checked.digest,
            warnings=list(checked.warnings),
            created_by=actor,
            created_at=now,
            scheduled_for=scheduled_for,
            correlation_id=correlation.current(),
        )
        orders = Order.objects.bulk_create([_order(batch, line, now) for line in checked.lines])
        first = {line.number for line in checked.lines if line.cancel_exits_first}
        record_cancel_first([order for order in orders if order.line_number in first])
        text = f"Recorded as line {{}} of batch {batch.pk}."
        OrderEvent.objects.bulk_create(
            OrderEvent(order=order, at=now, kind="recorded", text=text.format(order.line_number), actor=actor)
            for order in orders
        )
        _journal(batch, checked, actor, now)
    log.info("batch %s recorded: %s orders from %s by %s", batch.pk, len(orders), batch.name, actor)
    return batch


def _one_recorder_at_a_time(account: Account) -> None:
    """Take the account's row until the commit, so that two people with the same file do not both see no duplicate.

    The write changes nothing; it makes the second one wait on PostgreSQL, as every writer waits on SQLite.
    """
    if not Account.objects.filter(pk=account.pk, is_active=True).update(is_active=True):
        raise AccountNotUsable(f"{account.name} is switched off: no batch is recorded for it.")


def _order(batch: Batch, line: Line, now: datetime) -> Order:
    return Order(
        account_id=batch.account_id,
        batch=batch,
        line_number=line.number,
        client_order_id=new_client_order_id(batch_id=batch.pk, line_number=line.number),
        symbol=line.symbol,
        side=line.side,
        order_type=line.order_type,
        time_in_force=line.time_in_force,
        qty=line.qty,
        notional=line.notional,
        limit_price=line.limit_price,
        stop_price=line.stop_price,
        trail_price=line.trail_price,
        trail_percent=line.trail_percent,
        extended_hours=line.extended_hours,
        order_class=line.order_class,
        take_profit_limit_price=line.take_profit_limit_price,
        stop_loss_stop_price=line.stop_loss_stop_price,
        stop_loss_limit_price=line.stop_loss_limit_price,
        recorded_at=now,
        correlation_id=batch.correlation_id,
    )


def _journal(batch: Batch, checked: CheckedBatch, actor: str, now: datetime) -> None:
    journal.record(
        at=now,
        actor=actor,
        action="batch.recorded",
        account=batch.account.slug,
        subject_type="batch",
        subject_id=batch.pk,
        summary=f"Recorded batch {batch.pk}, {batch.name}: {counted(len(checked.lines), 'order')}",
        after={
            "orders": len(checked.lines),
            "buys_notional": plain(checked.notional),
            "digest": checked.digest,
            "scheduled_for": batch.scheduled_for.isoformat() if batch.scheduled_for else None,
            "warnings": list(checked.warnings),
        },
    )
