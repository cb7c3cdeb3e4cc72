"""One request budget per account, shared by every process, so that together they stay under Alpaca's limit.

A process takes requests from the shared row a few at a time and spends them from memory: most calls write nothing.
Reading in bulk leaves the last part of a minute to submits and look-ups. What Alpaca's headers say corrects the
row whenever it is written next; a 429 is noted at once, for all.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import Error as DatabaseError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from broker.answers import RateNews
from broker.errors import RateLimited
from broker.models import Account, RequestBudget

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60.0
LOT = 10
# The part of the limit that bulk reading leaves alone: one in ten.
RESERVE_SHARE = 10
# A submit is given back to the queue rather than made to wait; a read may wait for the next minute.
URGENT_PATIENCE_SECONDS = 5.0
BULK_PATIENCE_SECONDS = 75.0
_DATABASE_PAUSE_SECONDS = 0.2


class Budget:
    """This process's share of one account's budget. For any number of threads."""

    def __init__(
        self,
        account_id: int,
        *,
        now: Callable[[], datetime] = timezone.now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account_id = account_id
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = 0
        self._tokens_until = self._refused_until = now()
        self._news: tuple[RateNews, datetime] | None = None

    def take(self, *, is_urgent: bool) -> None:
        """Return when one request may be made; raise `RateLimited` when that lies too far ahead."""
        patience = timedelta(seconds=URGENT_PATIENCE_SECONDS if is_urgent else BULK_PATIENCE_SECONDS)
        deadline = self._now() + patience
        while (wait := self._take_or_wait(is_urgent=is_urgent)) > 0:
            if self._now() + timedelta(seconds=wait) > deadline:
                text = f"The requests of this minute are spent; more may be made in {wait:.0f} s."
                raise RateLimited(text, retry_after=wait)
            self._sleep(wait)

    def take_at_once(self) -> bool:
        """Take one request for reading in bulk if it may be made now."""
        return self._take_or_wait(is_urgent=False) == 0

    def note(self, news: RateNews) -> None:
        """Remember what Alpaca said; it reaches the row with the next lot. Never fails, never writes."""
        now = self._now()
        with self._lock:
            self._news = (news, now)
            if news.remaining <= 0:
                self._tokens = 0

    def note_refused(self, retry_after: float) -> None:
        """After a 429: no new request is taken before `retry_after`. Never fails: an answer is being handled."""
        until = self._now() + timedelta(seconds=retry_after)
        with self._lock:
            self._tokens = 0
            self._refused_until = until
            try:
                with _borrowed_connection():
                    RequestBudget.objects.filter(pk=self._row().pk).update(blocked_until=until)
            except DatabaseError:
                logger.warning("A 429 of account %s could not be told to the other processes.", self._account_id)

    def _take_or_wait(self, *, is_urgent: bool) -> float:
        with self._lock:
            now = self._now()
            if _is_ahead(self._refused_until, now):
                return _seconds(self._refused_until - now)
            if self._tokens > 0 and now < self._tokens_until:
                self._tokens -= 1
                return 0.0
            try:
                with _borrowed_connection():
                    return self._lease(now, is_urgent=is_urgent)
            except DatabaseError as error:  # a locked database delays work, it never loses it
                logger.warning("The request budget of account %s has to wait: %s", self._account_id, error)
                return _DATABASE_PAUSE_SECONDS

    def _lease(self, now: datetime, *, is_urgent: bool) -> float:
        """Take a lot from the row, and one request of it; return the seconds to wait if there is none."""
        row = self._row()
        if row.blocked_until and _is_ahead(row.blocked_until, now):
            return _seconds(row.blocked_until - now)
        seen = RequestBudget.objects.filter(pk=row.pk, used=row.used, window_ends_at=row.window_ends_at)
        self._correct(row, now)
        free = row.limit - row.used - row.limit // RESERVE_SHARE
        lot = min(LOT, free)
        if lot <= 0 and is_urgent and row.used < row.limit:
            lot = 1
        if lot <= 0:
            return _seconds(row.window_ends_at - now)
        taken = seen.update(
            window_started_at=row.window_started_at,
            window_ends_at=row.window_ends_at,
            limit=row.limit,
            used=row.used + lot,
        )
        if not taken:  # another process was quicker
            return _seconds(timedelta(milliseconds=10))
        self._tokens, self._tokens_until = lot - 1, row.window_ends_at
        return 0.0

    def _correct(self, row: RequestBudget, now: datetime) -> None:
        """Begin a new minute if the old one is over, and bring in what Alpaca said of this one."""
        if not _is_ahead(row.window_ends_at, now):
            row.window_started_at, row.window_ends_at, row.used = now, now + timedelta(seconds=WINDOW_SECONDS), 0
        if self._news is None:
            return
        news, heard_at = self._news
        row.limit = news.limit or row.limit
        if news.resets_in is None:
            return
        resets_at = heard_at + timedelta(seconds=news.resets_in)
        if resets_at > now and heard_at >= row.window_started_at:
            row.window_ends_at = resets_at
            row.used = max(row.used, news.limit - news.remaining)

    def _row(self) -> RequestBudget:
        row = RequestBudget.objects.filter(account_id=self._account_id).first()
        if row is not None:
            return row
        now = self._now()
        ends_at = now + timedelta(seconds=WINDOW_SECONDS)
        try:
            with transaction.atomic():
                return RequestBudget.objects.create(
                    account_id=self._account_id, window_started_at=now, window_ends_at=ends_at
                )
        except IntegrityError:  # another process was quicker
            return RequestBudget.objects.get(account_id=self._account_id)


@contextmanager
def _borrowed_connection() -> Iterator[None]:
    """Threads that send have no database connection of their own: leave none behind in them."""
    had_one = connection.connection is not None
    try:
        yield
    finally:
        if not had_one:
            connection.close()


def _is_ahead(moment: datetime, now: datetime) -> bool:
    """What lies further ahead than Alpaca ever makes us wait was noted while the clock was fast."""
    return now < moment <= now + timedelta(seconds=2 * WINDOW_SECONDS)


def _seconds(span: timedelta) -> float:
    return max(span.total_seconds(), 0.01)


_budgets: dict[int, Budget] = {}


def budget_of(account: Account) -> Budget:
    """Return the one share that this process has of the account's budget."""
    # setdefault is atomic: of two threads that come together both get the same one.
    return _budgets.get(account.pk) or _budgets.setdefault(account.pk, Budget(account.pk))


def forget_budgets() -> None:
    """A child process begins with nothing: neither its parent's requests nor its parent's locks are its own."""
    _budgets.clear()


os.register_at_fork(after_in_child=forget_budgets)
