"""Follow the stream of one account until told to stop: keep its connection, its lease and its state, and read after
every gap.

Two threads: the connection's, which only hears (`broker.stream`), and this one, which books. A locked database holds
up the booking and not the hearing. Nothing that goes wrong in booking ends either: it is logged, and what may have
been missed is read from Alpaca's lists.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from queue import Empty, SimpleQueue
from threading import Event

from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from broker.errors import BrokerError
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from broker.stream import Closed, Heard, Opened, Unreadable, Update, open_stream
from broker.stream_state import StreamNote
from broker.taken_back import without_taken_back
from broker.types import BrokerActivity, BrokerFill
from orders.errors import OrdersError
from orders.following import follow_orders, look
from orders.models import Fill, Order
from orders.streaming import Streaming
from work import leases
from work.holders import this_process

log = logging.getLogger(__name__)

#: Longer than the database makes a writer wait.
LEASE_SECONDS = 150.0
_RENEW_EVERY = 10.0
_STEP = 0.2
_SWEEP_EVERY, _COMPARE_EVERY, _DOUBT_EVERY = 1.0, 2.0, 1.0
#: Connections that may fail before the first one is good: after them the address is called unreachable.
FIRST_ATTEMPTS = 3
_MOST_WAITING = 50_000
_READ_ORDERS = 500
_READ_PAGES = 20
_READ_BEFORE = timedelta(seconds=5)
_READ_AGAIN_AFTER, _LONGEST_PAUSE = 1.0, 30.0
#: Frame after frame that cannot be read must not become request after request.
_READ_AT_MOST_EVERY = 2.0
#: What the lists know and the stream did not tell within this was lost.
_TOLD_WITHIN = 3.0
#: A deaf connection is given up for a new one, but not over and over.
_REOPEN_AT_MOST_EVERY = 30.0


class NotFollowed(OrdersError):
    """The stream cannot be followed, or no longer by this process."""


def follow_stream(
    *,
    account: Account,
    stop: Event,
    on_doubt: Callable[[str], bool] = lambda _text: True,
    on_open: Callable[[str], None] = lambda _url: None,
) -> None:
    """Follow until `stop` is set. Raise `BrokerError` or `NotFollowed` when it cannot be, or another process does.

    `on_doubt` is given what is no bookkeeping, and again every second until it returns True: it was taken care of.
    """
    lease = f"stream:{account.pk}"
    if not leases.take(lease, seconds=LEASE_SECONDS, now=timezone.now()):
        raise NotFollowed(f"Another process follows the stream of {account.slug} already.")
    try:
        Follower(account=account, lease=lease, on_doubt=on_doubt, on_open=on_open).run(stop)
    finally:
        leases.give_back(lease)


@dataclass(slots=True)
class _Suspect:
    """A fill that was booked from the lists, and of which the stream has told nothing yet."""

    broker_order_id: str
    qty: Decimal
    noticed: float
    noticed_at: datetime


class Follower:
    def __init__(
        self, *, account: Account, lease: str, on_doubt: Callable[[str], bool], on_open: Callable[[str], None]
    ) -> None:
        self._account, self._lease, self._on_doubt, self._on_open = account, lease, on_doubt, on_open
        self._doubts: list[str] = []
        self._heard: SimpleQueue[Heard] = SimpleQueue()
        self._connection = open_stream(account, self._heard.put)
        self._gateway: Gateway | None = None
        self._streaming = Streaming(account=account, open_gateway=self._open_gateway, on_doubt=self._doubts.append)
        self._note = StreamNote(account=account, holder=this_process(), now=timezone.now())
        self._opened_at: datetime | None = None
        self._failed_before = 0
        self._due = {"renew": 0.0, "sweep": 0.0, "compare": 0.0, "read": 0.0, "doubt": 0.0}
        self._read_pause = _READ_AGAIN_AFTER
        self._last_fill = Fill.objects.filter(account=account).order_by("-pk").values_list("pk", flat=True).first() or 0
        self._suspects: list[_Suspect] = []
        self._reopened = -_REOPEN_AT_MOST_EVERY

    def _open_gateway(self) -> Gateway:
        self._gateway = self._gateway or open_gateway(self._account)
        return self._gateway

    def run(self, stop: Event) -> None:
        self._open_gateway()  # its import is slow, and its keys are checked before anything is begun
        self._connection.start()
        try:
            while not stop.is_set():
                self._safely(self._step)
        finally:
            self._connection.stop()
            self._note.end(timezone.now())

    def _safely(self, step: Callable[[], None]) -> None:
        """What goes wrong in booking ends nothing; what it was about is read from the lists."""
        try:
            step()
        except NotFollowed:
            raise
        except Exception as error:
            log.exception("what the stream told could not be booked")
            if isinstance(error, DatabaseError):
                connection.close()
            self._note.gap("What the stream told could not be booked.", timezone.now())
            time.sleep(_STEP)

    def _step(self) -> None:
        updates = [item for item in self._take() if not self._is_sign(item)]
        now = timezone.now()
        if updates:
            self._streaming.take([update for update in updates if isinstance(update, Update)], now)
        if self._streaming.is_busy:
            self._streaming.look_again(now)
        if self._note.row.gap_since is not None and self._opened_at is not None and self._is_due("read", 0.0):
            self._read_missed(now)
        if self._is_due("sweep", _SWEEP_EVERY):
            follow_orders(account_id=self._account.pk, now=now)
        if self._is_due("compare", _COMPARE_EVERY):
            self._compare()
        if self._doubts and self._is_due("doubt", _DOUBT_EVERY) and self._on_doubt(self._doubts[-1]):
            self._doubts.clear()
        self._keep(now)

    def _is_due(self, name: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due[name]:
            return False
        self._due[name] = now + every
        return True

    # --- Hearing ------------------------------------------------------------------------------------------------

    def _take(self) -> Iterator[Heard]:
        """Return what was heard meanwhile, waiting a moment for the first of it."""
        try:
            item = self._heard.get(timeout=0.02 if self._streaming.is_busy else _STEP)
            if self._heard.qsize() > _MOST_WAITING:
                self._forget_all()
            while True:
                yield item
                item = self._heard.get_nowait()
        except Empty:
            return

    def _forget_all(self) -> None:
        """More than can be booked in time: the lists tell it shorter."""
        self._note.gap("More came than could be booked.", self._note.row.last_event_at or timezone.now())
        for _ in range(self._heard.qsize()):
            self._is_sign(self._heard.get_nowait())

    def _is_sign(self, item: Heard) -> bool:
        """Note what is about the connection; False for an update, which is to be booked."""
        match item:
            case Update(at=at):
                self._note.event(at)
                return False
            case Unreadable(at=at, reason=reason):
                log.warning("a frame of the stream of %s cannot be read: %s", self._account.slug, reason)
                self._note.gap(f"A frame could not be read: {reason}", at)
            case Opened(at=at):
                self._opened(at)
            case Closed() as closed:
                self._closed(closed)
        return True

    def _opened(self, at: datetime) -> None:
        self._note.opened(at)
        self._opened_at, self._failed_before = at, -1
        self._due["read"], self._read_pause = 0.0, _READ_AGAIN_AFTER
        self._on_open(self._connection.url)

    def _closed(self, closed: Closed) -> None:
        if self._failed_before >= 0:  # never was good
            self._failed_before += 1
        if closed.is_refused or self._failed_before >= FIRST_ATTEMPTS:
            raise NotFollowed(f"{closed.reason} The stream of {self._account.slug} is at {self._connection.url}.")
        if self._opened_at is not None:
            log.warning("the stream of %s is lost, connecting again: %s", self._account.slug, closed.reason)
        self._opened_at = None
        self._note.heard(self._connection.heard_at)
        self._note.closed(closed.reason, closed.at)

    # --- Reading what was missed ----------------------------------------------------------------------------------

    def _read_missed(self, now: datetime) -> None:
        """One step of the reading: some of the orders that can still change; when all were read, the fills."""
        since, opened_at = self._note.row.gap_since, self._opened_at
        if since is None or opened_at is None:
            return
        read_after = max(opened_at, since)
        unread = Q(followed_at__isnull=True) | Q(followed_at__lt=read_after) | Q(followed_at__gt=now)
        mine = Order.objects.followed(now).filter(unread, account=self._account)
        if orders := list(mine.order_by("pk")[:_READ_ORDERS]):
            self._pause_reading(is_good=look(account=self._account, orders=orders, now=now))
            return
        try:
            self._read_fills(since, now)
        except BrokerError as error:
            log.warning("the fills since the gap could not be read: %s", error)
            self._pause_reading(is_good=False)
            return
        log.info("%s: what was missed since %s is read", self._account.slug, since)
        self._note.made_good()
        self._due["read"] = time.monotonic() + _READ_AT_MOST_EVERY

    def _read_fills(self, since: datetime, now: datetime) -> None:
        listed: dict[str, BrokerFill] = {}
        taken_back: list[BrokerActivity] = []
        pages = self._open_gateway().activities_since(since - _READ_BEFORE)
        for number, page in enumerate(pages, start=1):
            listed.update((fill.activity_id, fill) for fill in page.fills)
            taken_back += page.others
            if number >= _READ_PAGES:
                log.warning("more was filled in the gap than is read here: the rest is left to reconciliation")
                break
        # All pages first: what one lists, a later one may take back.
        self._streaming.book_fills(without_taken_back(listed, taken_back).values(), now)

    def _pause_reading(self, *, is_good: bool) -> None:
        self._read_pause = _READ_AGAIN_AFTER if is_good else min(self._read_pause * 2, _LONGEST_PAUSE)
        self._due["read"] = 0.0 if is_good else time.monotonic() + self._read_pause

    # --- Is it deaf? ------------------------------------------------------------------------------------------------

    def _compare(self) -> None:
        """A fill in the lists of which the stream tells nothing, and nothing else since: the connection is deaf."""
        if self._opened_at is None:
            self._suspects.clear()
            return
        self._suspects += self._untold_fills(self._opened_at)
        ripe = [each for each in self._suspects if time.monotonic() - each.noticed > _TOLD_WITHIN]
        self._suspects = [each for each in self._suspects if each not in ripe]
        lost = [s for s in ripe if self._streaming.told_qty.get(s.broker_order_id, Decimal(0)) < s.qty]
        for suspect in lost:
            log.warning("the stream did not tell of a fill of order %s", suspect.broker_order_id)
        last = self._note.row.last_event_at
        is_deaf = any(last is None or last < suspect.noticed_at for suspect in lost)
        if is_deaf and time.monotonic() - self._reopened > _REOPEN_AT_MOST_EVERY:
            self._reopened = time.monotonic()
            self._connection.reopen("Alpaca's lists know of fills that its stream did not tell.")

    def _untold_fills(self, opened_at: datetime) -> list[_Suspect]:
        fresh = Fill.objects.filter(account=self._account, pk__gt=self._last_fill).select_related("order")
        found = []
        for fill in fresh.order_by("pk")[:1000]:
            self._last_fill = fill.pk
            if fill.transaction_time > opened_at + timedelta(seconds=1):
                order = fill.order
                found.append(_Suspect(order.broker_order_id, order.filled_qty, time.monotonic(), timezone.now()))
        return found

    # --- Keeping ----------------------------------------------------------------------------------------------------

    def _keep(self, now: datetime) -> None:
        if self._is_due("renew", _RENEW_EVERY) and not leases.renew(self._lease, seconds=LEASE_SECONDS, now=now):
            raise NotFollowed(f"Another process took over the stream of {self._account.slug}.")
        if self._opened_at is not None:
            self._note.heard(self._connection.heard_at)
        if self._note.is_due(now):
            self._note.write(now)
