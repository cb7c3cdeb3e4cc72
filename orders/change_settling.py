"""Find out what became of a cancel or replacement: the order at Alpaca says so, nothing else does.

Neither Alpaca's yes nor its no is the end: a cancel that was taken may come too late, a replacement that was taken may
be rejected a moment later, and one that was refused has been found in place. Nothing is ever sent again from here: a
wish of which no sign appears is refused after a while, and a person looks anew.
"""

import logging
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction

from broker.errors import NotFound
from broker.gateway import Gateway
from broker.types import BrokerOrder
from orders.booking import book_facts, import_order
from orders.changing import LONGEST_PAUSE, PAUSE, Action, State, in_words, tell
from orders.lifecycle import is_terminal
from orders.models import Order, OrderChange
from orders.patience import until_written
from work.holders import is_gone

log = logging.getLogger(__name__)
ACTOR = "system:change"
#: The outcome of a change that Alpaca has taken and not yet carried out.
TAKEN = "Alpaca took the request."


def unsettled(account_id: int, now: datetime) -> list[OrderChange]:
    """Return what is to be looked up now, dead claims included, the longest unasked first."""
    live = OrderChange.objects.filter(account_id=account_id, state__in=(State.SENDING, State.UNCONFIRMED))
    found = [change for change in live.select_related("account", "order") if _is_due(change, now)]
    return sorted(found, key=lambda change: (change.looked_up_at is not None, change.looked_up_at or now, change.pk))


def _is_due(change: OrderChange, now: datetime) -> bool:
    if change.state == State.SENDING:
        return _is_abandoned(change, now)
    if change.looked_up_at is None or change.looked_up_at > now + LONGEST_PAUSE:
        return True
    age = now - (change.claimed_at or change.requested_at)
    return change.looked_up_at <= now - min(max(PAUSE, age / 20), LONGEST_PAUSE)


def _is_abandoned(change: OrderChange, now: datetime) -> bool:
    if change.claimed_at is None or is_gone(change.claimed_by):
        return True
    lease = timedelta(seconds=settings.CLAIM_LEASE_SECONDS)
    return change.claimed_at < now - lease or change.claimed_at > now + max(lease, LONGEST_PAUSE)


def settle_due(gateway: Gateway, account_id: int, now: datetime, *, at_once: bool = False) -> None:
    """Look up what is due; with `at_once` everything that is unconfirmed. Raises BrokerError: nothing was learned."""
    due = unsettled(account_id, now)
    if at_once:
        live = OrderChange.objects.filter(account_id=account_id, state=State.UNCONFIRMED)
        due = list(live.select_related("account", "order").order_by("pk"))
    for change in due:
        if change.state == State.SENDING:
            text = "Whoever was sending it is gone: it may or may not have reached Alpaca."
            abandoned = OrderChange.objects.filter(pk=change.pk, state=State.SENDING, claimed_at=change.claimed_at)
            if not until_written(partial(abandoned.update, state=State.UNCONFIRMED, outcome=text)):
                continue
            change.state, change.outcome = State.UNCONFIRMED, text
        asked = OrderChange.objects.filter(pk=change.pk, state=State.UNCONFIRMED)
        until_written(partial(asked.update, looked_up_at=now))
        _look_up(gateway, change, now)


def _look_up(gateway: Gateway, change: OrderChange, now: datetime) -> None:
    old = gateway.get_order(change.broker_order_id)
    new = _replacement_of(gateway, change) if change.action == Action.REPLACE else None
    state, text = _verdict(change, old, new, now)
    until_written(partial(_book, change, old, new, state, text, now))


def _replacement_of(gateway: Gateway, change: OrderChange) -> BrokerOrder | None:
    try:
        return gateway.get_order_by_client_id(change.client_order_id)
    except NotFound:
        return None


def _verdict(
    change: OrderChange, old: BrokerOrder, new: BrokerOrder | None, now: datetime
) -> tuple[OrderChange.State | None, str]:
    """Return how it ended and in which words; None while that is not known."""
    if change.action == Action.CANCEL:
        if old.status in {"canceled", "expired", "rejected"}:
            return State.DONE, f"Alpaca shows it {old.status}."
        if is_terminal(old.status):
            return State.REFUSED, f"Before it could be cancelled it was {old.status}."
    else:
        if new is not None and new.status == "rejected":
            return State.REFUSED, f"Alpaca took the replacement and rejected it then; the old order is {old.status}."
        if new is not None and old.status == "replaced" and old.replaced_by == new.broker_order_id:
            return State.DONE, f"It was {in_words(change)}: {new.broker_order_id}."
        if new is not None and is_terminal(new.status) and old.status != "pending_replace":
            return _both_over(change, old, new)
        if new is None and is_terminal(old.status):
            return State.REFUSED, f"Before it could be replaced it was {old.status}."
    if change.outcome != TAKEN and new is None and old.status not in {"pending_cancel", "pending_replace"}:
        return _without_a_sign(change, now)
    return None, ""


def _both_over(change: OrderChange, old: BrokerOrder, new: BrokerOrder) -> tuple[OrderChange.State, str]:
    """The replacement has ended without taking the old order's place, as when the old one filled first."""
    if old.status == "replaced" or new.filled_qty:
        return (
            State.DONE,
            f"It was {in_words(change)}: {new.broker_order_id}, which is {new.status}; the old order is {old.status}.",
        )
    return State.REFUSED, f"Alpaca took the replacement and ended it as {new.status}; the old order is {old.status}."


def _without_a_sign(change: OrderChange, now: datetime) -> tuple[OrderChange.State | None, str]:
    """Alpaca's no, or an answer that was lost: the end of it once look-ups have shown nothing for long enough."""
    since = change.claimed_at or change.requested_at
    if now - since < timedelta(seconds=settings.NOT_PLACED_AFTER_SECONDS):
        return None, ""
    said = change.outcome or "No answer came."
    return State.REFUSED, f"{said} The order is unchanged at Alpaca."


def _book(
    change: OrderChange,
    old: BrokerOrder,
    new: BrokerOrder | None,
    state: OrderChange.State | None,
    text: str,
    now: datetime,
) -> None:
    """The verdict, and what the look-up showed of our orders, in one transaction."""
    with transaction.atomic():
        ours = change.order or Order.objects.filter(account=change.account, broker_order_id=old.broker_order_id).first()
        if ours is not None:
            book_facts(order_id=ours.pk, facts=old, now=now, actor=ACTOR)
        if new is not None and state is not None:
            # Ours, whoever placed the one that it replaces: it is followed to its fills.
            import_order(account=change.account, facts=new, origin=Order.Origin.PROTECTION, now=now, actor=ACTOR)
            OrderChange.objects.filter(pk=change.pk).update(replaced_by=new.broker_order_id)
        if state is not None:
            end(change, state, text, now)


def end(
    change: OrderChange,
    state: OrderChange.State,
    text: str,
    now: datetime,
    *,
    was: OrderChange.State = State.UNCONFIRMED,
) -> None:
    """Write down how it ended, if nobody did. Call it in a transaction or as one."""
    with transaction.atomic():
        open_still = OrderChange.objects.filter(pk=change.pk, state=was)
        if open_still.update(state=state, outcome=text[:500], settled_at=now):
            tell(change, text, now, ACTOR)
            log.info("change %s is %s: %s", change.pk, state, text)
