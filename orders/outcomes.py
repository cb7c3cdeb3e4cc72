"""What became of one attempt to send an order: asked of Alpaca in one POST, then written down as what it means."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from broker.errors import (
    BrokerError,
    BrokerNotConfigured,
    BrokerUnauthorized,
    DuplicateClientOrderId,
    NotFound,
    NotSent,
    OrderRejected,
    RateLimited,
)
from broker.gateway import Gateway
from broker.types import BrokerOrder, OrderRequest
from orders.booking import book_answer
from orders.crash_points import reached
from orders.lifecycle import SubmissionState
from orders.models import Order
from orders.time_line import add_events
from work.statements import update

log = logging.getLogger(__name__)
ACTOR = "system:send"
_STILL_OPEN = (SubmissionState.SUBMITTING.value, SubmissionState.UNCONFIRMED.value)
_REFUSED_KEYS_PAUSE = 30.0
_NO_CONNECTION_PAUSE, _LONGEST_PAUSE = 2.0, 30.0


@dataclass(frozen=True, slots=True)
class Accepted:
    facts: BrokerOrder


@dataclass(frozen=True, slots=True)
class Refused:
    """Alpaca said no: it is certain that there is no order."""

    text: str


@dataclass(frozen=True, slots=True)
class Later:
    """Certainly not placed, for a reason that passes: it may be sent again, under the same id."""

    text: str
    seconds: float

    @classmethod
    def after(cls, error: BrokerError, *, attempts: int = 1) -> "Later":
        if isinstance(error, RateLimited):
            return cls(str(error), max(error.retry_after, 0.0))
        if isinstance(error, NotSent):
            return cls(str(error), min(_NO_CONNECTION_PAUSE * 2.0 ** min(attempts - 1, 10), _LONGEST_PAUSE))
        return cls(str(error), _REFUSED_KEYS_PAUSE)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Perhaps placed, perhaps not: never sent again before look-ups have told."""

    text: str


Outcome = Accepted | Refused | Later | Unknown


def post(gateway: Gateway, order: Order) -> Outcome:
    """Send the order, once. Never raises: what cannot be understood is Unknown."""
    try:
        facts = gateway.submit_order(_request(order))
        if facts.client_order_id != order.client_order_id:
            return Unknown(f"The answer is about another order, {facts.client_order_id}.")
        return Accepted(facts)
    except OrderRejected as error:
        # A second attempt may be refused because of the first: for the buying power that it holds, say.
        return _looked_up(gateway, order, absent=Refused(str(error))) if order.send_count > 1 else Refused(str(error))
    except DuplicateClientOrderId as error:
        return _looked_up(gateway, order, absent=Unknown(str(error)))
    except (RateLimited, NotSent, BrokerUnauthorized, BrokerNotConfigured) as error:
        return Later.after(error, attempts=order.send_count)
    except BrokerError as error:
        return Unknown(str(error))
    except Exception as error:
        log.exception("order %s %s: the attempt to send it failed", order.pk, order.client_order_id)
        return Unknown(f"{type(error).__name__} while sending.")


def _looked_up(gateway: Gateway, order: Order, *, absent: Outcome) -> Outcome:
    try:
        return Accepted(gateway.get_order_by_client_id(order.client_order_id))
    except NotFound:
        return absent
    except BrokerError as error:
        return Unknown(str(error))


def _request(order: Order) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.client_order_id,
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
    )


def note(order: Order, outcome: Outcome, now: datetime, *, follows_later: bool = False) -> None:
    """Write the outcome down, in one short transaction that may be run again. `follows_later`: see `book_facts`."""
    match outcome:
        case Accepted(facts):
            with transaction.atomic():
                book_answer(order=order, facts=facts, now=now, actor=ACTOR, follows_later=follows_later)
                reached("before_commit")
        case Refused(text):
            _write(order, "rejected", text, now, submission_state=SubmissionState.REJECTED.value, refusal=text[:500])
        case Later(text, seconds):
            # Spread, so that several processes do not come back in the same moment.
            not_before = now + timedelta(seconds=seconds + order.pk % 10 / 20)
            waiting = {"submission_state": SubmissionState.RECORDED.value, "refusal": text[:500]}
            _write(order, "waiting", text, now, **waiting, not_before=not_before)
        case Unknown(text):
            state = SubmissionState.UNCONFIRMED.value
            _write(order, "unconfirmed", text, now, submission_state=state, unconfirmed_at=now)


def _write(order: Order, kind: str, text: str, now: datetime, **columns: object) -> None:
    """Write it only if it is still about this attempt: a look-up may have been quicker."""
    mine = {"id": order.pk, "send_count": order.send_count, "submission_state": _STILL_OPEN}
    written = update(Order, where=mine, columns=columns)
    with transaction.atomic():
        if not written.run():
            return
        add_events(order.pk, (kind, text), now=now, actor=ACTOR)
        reached("before_commit")
    log.warning("order %s %s %s: %s", order.pk, order.client_order_id, kind, text)
