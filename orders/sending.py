"""Send the orders of a released batch: record (done before) → claim → one POST → confirm, several at a time.

1. One execution of a batch runs at a time (lease); a doubled delivery returns at once.
2. A claim is one conditional UPDATE: order recorded and due, batch released, kill switch off. Who gets it sends it.
3. The POST is made once, outside of any transaction. Whatever comes back is written down as what it means.
4. What is not certain is UNCONFIRMED and belongs to settling. What was certainly not placed may be sent later.
5. Positions follow the confirmations once a second, for all of them at once, and again when the batch ends.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.utils import timezone

from broker.errors import BrokerError
from broker.gateway import Gateway, open_gateway
from orders.booking import let_positions_follow
from orders.chain_carrying import carry_chains
from orders.claiming import claim
from orders.crash_points import reached
from orders.finishing import finish_batch
from orders.following import follow_closely
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order
from orders.outcomes import Later, Outcome, Unknown, note, post
from orders.patience import until_written
from orders.settling import settle_orders
from work import correlation, leases
from work.kept_connections import kept_connection

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]

LEASE_SECONDS = 15.0
_RENEW_SECONDS = 4.0
_LOOK_SECONDS = 0.1
#: Pages may show a waiting entry as pending so much later. Following takes the processor from those who send.
_FOLLOW_SECONDS = 1.0


def execute_batch(
    *, batch_id: int, now: datetime, clock: Clock = timezone.now, on_progress: Callable[[], None] = lambda: None
) -> None:
    """Send what may be sent of the batch, settle and finish it, and look for the first fills.

    What cannot be done now is left in the rows, where the next look at them finds it.
    """
    batch = Batch.objects.select_related("account").get(pk=batch_id)
    with correlation.carrying(batch.correlation_id):
        _execute(batch, now, clock, on_progress)


def _execute(batch: Batch, now: datetime, clock: Clock, on_progress: Callable[[], None]) -> None:
    batch_id = batch.pk
    lease = f"execute:{batch_id}"
    if not leases.take(lease, seconds=LEASE_SECONDS, now=now):
        log.info("batch %s is being executed already", batch_id)
        return
    try:
        _send_orders(batch, lease, clock, on_progress)
        # After the others: they do not wait until its cancels are proven.
        if carry_chains(account_id=batch.account_id, now=clock(), clock=clock):
            _send_orders(batch, lease, clock, on_progress)
    finally:
        until_written(partial(leases.give_back, lease))
    if batch.orders.unconfirmed().exists():
        settle_orders(account_id=batch.account_id, now=clock())
    until_written(partial(finish_batch, batch_id=batch_id, now=clock()))
    on_progress()
    reached("before_fills")
    follow_closely(batch_id=batch_id, clock=clock)
    on_progress()


def _send_orders(batch: Batch, lease: str, clock: Clock, on_progress: Callable[[], None]) -> None:
    due = Order.objects.sendable(clock()).filter(batch=batch).order_by("line_number", "pk")
    waiting: SimpleQueue[int] = SimpleQueue()
    for order_id in due.values_list("pk", flat=True):
        waiting.put(order_id)
    in_flight = min(settings.ORDERS_IN_FLIGHT, waiting.qsize())
    if not in_flight:
        return
    stop, unfollowed = Event(), SimpleQueue[str]()
    with ThreadPoolExecutor(max_workers=in_flight, thread_name_prefix=lease) as pool:
        futures = [pool.submit(_send_from, waiting, batch, stop, clock, unfollowed) for _ in range(in_flight)]
        try:
            follow_at = time.monotonic() + _FOLLOW_SECONDS
            for _ in _attended(futures, lease, stop, clock, on_progress):
                if time.monotonic() >= follow_at:
                    _let_follow(batch, unfollowed, clock)
                    follow_at = time.monotonic() + _FOLLOW_SECONDS
        finally:
            stop.set()  # whatever ends the attending, no order is begun after it
    _let_follow(batch, unfollowed, clock)
    for future in futures:
        future.result()


def _let_follow(batch: Batch, unfollowed: SimpleQueue[str], clock: Clock) -> None:
    """What is lost here, with this process, is made up for when the batch is finished."""
    symbols = set()
    with suppress(Empty):
        while True:
            symbols.add(unfollowed.get_nowait())
    if symbols:
        until_written(lambda: let_positions_follow(account=batch.account, symbols=symbols, now=clock()))


def _attended(
    futures: list[Future[None]], lease: str, stop: Event, clock: Clock, on_progress: Callable[[], None]
) -> Iterator[None]:
    """Keep the lease while the threads send; when it is lost, let no further order begin."""
    renew_at = time.monotonic() + _RENEW_SECONDS
    while wait(futures, timeout=_LOOK_SECONDS).not_done:
        on_progress()
        yield
        if time.monotonic() < renew_at:
            continue
        renew_at = time.monotonic() + _RENEW_SECONDS
        try:
            if not leases.renew(lease, seconds=LEASE_SECONDS, now=clock()):
                log.warning("%s was lost: the rest is left to its new holder", lease)
                stop.set()
        except (OperationalError, InterfaceError) as error:
            log.warning("%s could not be renewed: %s", lease, error)  # claims keep doubles out all the same


def _send_from(
    waiting: SimpleQueue[int], batch: Batch, stop: Event, clock: Clock, unfollowed: SimpleQueue[str]
) -> None:
    """Send orders until none is left; runs in a thread with a gateway and a database connection of its own."""
    with correlation.carrying(batch.correlation_id), kept_connection():
        try:
            _send_all(waiting, batch, stop, clock, unfollowed)
        except BrokerError as error:  # nothing was claimed
            stop.set()
            _hold_rest(batch, Later.after(error), clock())


def _send_all(waiting: SimpleQueue[int], batch: Batch, stop: Event, clock: Clock, unfollowed: SimpleQueue[str]) -> None:
    gateway = open_gateway(batch.account)
    while not stop.is_set():
        try:
            order_id = waiting.get_nowait()
        except Empty:
            return
        gateway.await_room()  # before the claim: what waits can still be halted
        later = send_one(gateway, order_id, clock, unfollowed)
        if later is not None:
            stop.set()
            _hold_rest(batch, later, clock())


def send_one(gateway: Gateway, order_id: int, clock: Clock, unfollowed: SimpleQueue[str] | None = None) -> Later | None:
    """Claim the order, send it and write down what became of it; return why the others should wait, if they should.

    Positions follow at once, or, with `unfollowed`, when its reader lets those of the symbols in it.
    """
    reached("before_claim")
    order = until_written(lambda: claim(order_id=order_id, now=clock()))
    if order is None:
        return None
    reached("after_claim")
    with correlation.carrying(order.correlation_id):
        outcome = post(gateway, order)
        reached("after_answer")
        _write_down(order, outcome, clock, follows_later=unfollowed is not None)
    reached("after_commit")
    if unfollowed is not None:
        unfollowed.put(order.symbol)
    return outcome if isinstance(outcome, Later) else None


def _write_down(order: Order, outcome: Outcome, clock: Clock, *, follows_later: bool) -> None:
    """Whatever goes wrong in writing it, the order does not stay SUBMITTING in the hands of a living process."""
    try:
        until_written(lambda: note(order, outcome, clock(), follows_later=follows_later))
    except Exception:
        log.exception("order %s %s: its outcome could not be written", order.pk, order.client_order_id)
        until_written(lambda: note(order, Unknown("The answer could not be written down."), clock()))


def _hold_rest(batch: Batch, later: Later, now: datetime) -> None:
    """What stopped one order stops all: do not run the rest of the batch into the same wall."""
    until = now + timedelta(seconds=later.seconds)
    earlier = Q(not_before__isnull=True) | Q(not_before__lt=until)
    rest = Order.objects.filter(earlier, batch=batch, submission_state=SubmissionState.RECORDED)
    until_written(partial(rest.update, not_before=until, refusal=later.text[:500]))
    log.warning("batch %s waits %.0f s: %s", batch.pk, later.seconds, later.text)
