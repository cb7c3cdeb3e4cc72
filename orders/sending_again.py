"""Send a NOT_PLACED order again, because a person wants it: the same intention, under the same client_order_id.

The id is what makes it safe. Alpaca takes an id once and for ever, filled and cancelled orders included: should the
first attempt be there after all, the second is refused, looked up and found (orders/outcomes.py). A copy under a new
id would have no such guard. The order then goes the way of every order: claimed by one conditional UPDATE, sent once.

Before that it is looked up once more and checked anew as if it came in a file: prices, shares, buying power and
limits are not what they were. Its batch is opened again, so that halting it, its check afterwards and its rules
about age apply; a halted batch stays halted.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from audit import journal
from broker.errors import NotFound
from broker.gateway import open_gateway
from orders.batch_line import Line
from orders.booking import book_facts
from orders.chains import is_wanted_for, wait_anew
from orders.checking import check_line_again
from orders.errors import WrongState
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order, OrderEvent

log = logging.getLogger(__name__)

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What sending it again would meet. `found` means that it is at Alpaca: it was booked instead."""

    reasons_against: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notional: Decimal = Decimal(0)
    found: bool = False

    @property
    def may_go_on(self) -> bool:
        return not self.found and not self.reasons_against


def reason_against(order: Order) -> str:
    """Return why the order may not be sent again, as far as our own record says; empty if it may."""
    if order.submission_state != SubmissionState.NOT_PLACED:
        state = order.get_submission_state_display()
        return f"Only an order that is proven absent at Alpaca may be sent again; this one is {state}."
    if order.broker_order_id:
        return "Alpaca knew this order once: it is a matter for reconciliation."
    if order.batch is None:
        return "It came in no batch, so there is nothing to send it with."
    if order.batch.state == Batch.State.HALTED:
        return "Its batch was halted by a person. Copy it into a new batch instead."
    if order.batch.state != Batch.State.FINISHED:
        return "Its batch is still under way. Wait until it is finished."
    return "" if order.account.is_active else f"{order.account.name} is switched off: nothing is sent for it."


def line_of(order: Order) -> Line:
    """Return the order as a line of a file."""
    return Line(
        number=order.line_number or 1,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        qty=order.qty,
        notional=order.notional,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_price=order.trail_price,
        trail_percent=order.trail_percent,
        extended_hours=order.extended_hours,
        order_class=order.order_class,
        take_profit_limit_price=order.take_profit_limit_price,
        stop_loss_stop_price=order.stop_loss_stop_price,
        stop_loss_limit_price=order.stop_loss_limit_price,
        cancel_exits_first=is_wanted_for(order),
    )


def propose(*, order: Order, actor: str, now: datetime) -> Proposal:
    """Ask Alpaca for the order once more, and check it anew. One that is found is booked.

    Raises BrokerError when Alpaca could not be asked: then nothing is known.
    """
    if reason := reason_against(order):
        return Proposal(reasons_against=(reason,))
    try:
        facts = open_gateway(order.account).get_order_by_client_id(order.client_order_id)
    except NotFound:
        pass
    else:
        book_facts(order_id=order.pk, facts=facts, now=now, actor=actor)
        return Proposal(found=True)
    checked = check_line_again(account=order.account, line=line_of(order))
    return Proposal(
        reasons_against=tuple(f"{error.field or 'order'}: {error.message}." for error in checked.errors),
        warnings=(*ordered_since([order]), *checked.warnings),
        notional=checked.notional,
    )


def ordered_since(orders: Sequence[Order]) -> list[str]:
    """Say what was ordered anew since these orders of one account, which Alpaca cannot know: one sentence each."""
    if not orders:
        return []
    later = Order.objects.filter(
        account_id=orders[0].account_id,
        symbol__in={order.symbol for order in orders},
        recorded_at__gt=min(order.recorded_at for order in orders),
        submission_state__in=(
            SubmissionState.RECORDED,
            SubmissionState.SUBMITTING,
            SubmissionState.UNCONFIRMED,
            SubmissionState.CONFIRMED,
        ),
    )
    by_side = defaultdict(list)
    for pk, symbol, side, at in later.order_by("pk").values_list("pk", "symbol", "side", "recorded_at"):
        by_side[symbol, side].append((pk, at))
    said = (
        _twice(order, [pk for pk, at in by_side[order.symbol, order.side] if at > order.recorded_at])
        for order in orders
    )
    return list(dict.fromkeys(filter(None, said)))


def _twice(order: Order, found: list[int]) -> str:
    if not found:
        return ""
    named = ", ".join(str(pk) for pk in found[:_NAMED]) + (" and more" if len(found) > _NAMED else "")
    verb = "bought" if order.side == "buy" else "sold"
    return f"{order.symbol} was {verb} again since, or is to be: order {named}. Do you want it twice?"


def send_again(*, order: Order, shown_warnings: tuple[str, ...], actor: str, now: datetime) -> Proposal:
    """Look it up, check it and let it be sent; the proposal that is returned says whether it goes.

    It goes only if its warnings are those that the person was shown and said yes to.

    Raises WrongState when somebody else was quicker, BrokerError when Alpaca could not be asked.
    """
    proposal = propose(order=order, actor=actor, now=now)
    if not proposal.may_go_on or proposal.warnings != shown_warnings:
        return proposal
    with transaction.atomic():
        _reopen(order.batch, now)
        mine = Order.objects.filter(
            pk=order.pk,
            submission_state=SubmissionState.NOT_PLACED,
            send_count=order.send_count,
            broker_order_id="",
        )
        if not mine.update(submission_state=SubmissionState.RECORDED, refusal="", not_before=None):
            raise WrongState(f"Order {order.pk} is not what it was: somebody else was quicker.")
        wait_anew(order)
        text = f"Wanted again by {actor}: to be sent under the same id."
        OrderEvent.objects.create(order=order, at=now, kind="recorded", text=text, actor=actor)
        _journal(order, proposal, actor, now)
    log.warning("order %s %s is sent again, wanted by %s", order.pk, order.client_order_id, actor)
    order.refresh_from_db()
    return proposal


def _reopen(batch: Batch | None, now: datetime) -> None:
    columns = {"state": Batch.State.RELEASED, "released_at": now, "finished_at": None, "reconciled_at": None}
    over = Batch.objects.filter(state=Batch.State.FINISHED)
    if batch is None or not over.filter(pk=batch.pk).update(**columns):
        raise WrongState("Its batch is not finished any more: somebody else was quicker.")


def _journal(order: Order, proposal: Proposal, actor: str, now: datetime) -> None:
    journal.record(
        at=now,
        actor=actor,
        action="order.sent_again",
        account=order.account.slug,
        subject_type="order",
        subject_id=order.pk,
        summary=f"Let order {order.pk} be sent again: {order.side} {order.symbol}, {order.client_order_id}",
        before={"submission_state": order.submission_state, "refusal": order.refusal, "send_count": order.send_count},
        after={"submission_state": SubmissionState.RECORDED.value, "warnings": list(proposal.warnings)},
    )
