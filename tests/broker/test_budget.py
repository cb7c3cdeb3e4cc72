"""All processes of an account share one budget, write it seldom, and wait rather than fail."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from broker.answers import RateNews, rate_news, retry_after
from broker.budget import LOT, Budget, budget_of
from broker.errors import RateLimited
from broker.models import Account, RequestBudget
from tests.simulation import ROOT

NOW = datetime(2025, 11, 6, 13, tzinfo=UTC)


class Clock:
    """A clock that moves only by waiting."""

    def __init__(self) -> None:
        self.at = NOW
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += timedelta(seconds=seconds)

    def budget(self, account: Account) -> Budget:
        """What one process has."""
        return Budget(account.pk, now=self.now, sleep=self.sleep)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(slug="sim", name="Simulator")


def row() -> RequestBudget:
    return RequestBudget.objects.get()


def take(budget: Budget, count: int, *, is_urgent: bool = False) -> None:
    for _ in range(count):
        budget.take(is_urgent=is_urgent)


def test_most_calls_write_nothing(account: Account, clock: Clock) -> None:
    budget = clock.budget(account)
    budget.take(is_urgent=False)
    with CaptureQueriesContext(connection) as queries:
        take(budget, LOT - 1)
    assert len(queries) == 0
    assert row().used == LOT


def test_processes_share_one_limit(account: Account, clock: Clock) -> None:
    one, other = clock.budget(account), clock.budget(account)
    take(one, 90)
    take(other, 90)
    assert (row().used, clock.waits) == (180, [])
    one.take(is_urgent=False)
    assert clock.waits == [60]
    assert row().used == LOT


def test_bulk_reading_leaves_the_last_part_to_submits(account: Account, clock: Clock) -> None:
    budget = clock.budget(account)
    take(budget, 180)
    take(budget, 20, is_urgent=True)
    assert (row().used, clock.waits) == (200, [])
    with pytest.raises(RateLimited, match="spent") as caught:
        budget.take(is_urgent=True)
    assert caught.value.retry_after == 60


def test_a_submit_waits_a_little_and_then_gives_back(account: Account, clock: Clock) -> None:
    budget = clock.budget(account)
    take(budget, 200, is_urgent=True)
    clock.at += timedelta(seconds=57)
    budget.take(is_urgent=True)
    assert clock.waits == [3]


def test_a_new_minute_begins_with_the_whole_limit(account: Account, clock: Clock) -> None:
    take(clock.budget(account), 180)
    clock.at += timedelta(seconds=61)
    take(clock.budget(account), 180)
    assert clock.waits == []


def test_requests_of_an_old_minute_are_not_spent_in_the_next(account: Account, clock: Clock) -> None:
    budget = clock.budget(account)
    take(budget, 1)
    clock.at += timedelta(seconds=61)
    take(budget, 1)
    assert row().used == LOT
    assert row().window_started_at == clock.at


def test_a_429_stops_every_process(account: Account, clock: Clock) -> None:
    one, other = clock.budget(account), clock.budget(account)
    one.note_refused(20)
    with pytest.raises(RateLimited):
        one.take(is_urgent=True)
    with pytest.raises(RateLimited) as caught:
        other.take(is_urgent=True)
    assert caught.value.retry_after == 20
    other.take(is_urgent=False)
    assert clock.waits == [20]


def test_what_alpaca_says_corrects_the_count(account: Account, clock: Clock) -> None:
    """Another program may use the same keys."""
    budget = clock.budget(account)
    take(budget, 1)
    budget.note(RateNews(limit=200, remaining=25, resets_in=30))
    take(budget, LOT)
    assert row().used == 175 + 5
    assert row().window_ends_at == NOW + timedelta(seconds=30)


def test_nothing_remaining_means_waiting_for_the_next_minute(account: Account, clock: Clock) -> None:
    budget = clock.budget(account)
    take(budget, 1)
    budget.note(RateNews(limit=200, remaining=0, resets_in=12))
    budget.take(is_urgent=False)
    assert clock.waits == [12]


def test_a_larger_limit_is_used(account: Account, clock: Clock) -> None:
    budget = clock.budget(account)
    take(budget, 1)
    budget.note(RateNews(limit=1000, remaining=999, resets_in=None))
    take(budget, 880)
    assert (row().limit, clock.waits) == (1000, [])


def test_a_clock_that_was_set_back_does_not_stop_everything(account: Account, clock: Clock) -> None:
    take(clock.budget(account), 180)
    clock.at -= timedelta(days=1)
    clock.budget(account).take(is_urgent=True)
    assert clock.waits == []


def test_a_locked_database_delays_and_does_not_fail(account: Account, clock: Clock, monkeypatch: Any) -> None:
    budget = clock.budget(account)
    real, failures = budget._row, iter([OperationalError("database is locked")] * 3)

    def locked() -> RequestBudget:
        for failure in failures:
            raise failure
        return real()

    monkeypatch.setattr(budget, "_row", locked)
    budget.take(is_urgent=True)
    assert len(clock.waits) == 3


def test_a_database_that_stays_locked_gives_the_work_back(account: Account, clock: Clock, monkeypatch: Any) -> None:
    def locked() -> RequestBudget:
        raise OperationalError("database is locked")

    budget = clock.budget(account)
    monkeypatch.setattr(budget, "_row", locked)
    with pytest.raises(RateLimited):
        budget.take(is_urgent=True)
    budget.note_refused(5)  # an answer is being handled: this never fails


@pytest.mark.django_db(transaction=True)
def test_threads_never_take_more_than_there_is() -> None:
    account = Account.objects.create(slug="sim", name="Simulator")
    budget = Budget(account.pk)
    taken = threading.Semaphore(0)

    def work() -> None:
        for _ in range(30):
            budget.take(is_urgent=True)
            taken.release()

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(work) for _ in range(6)]:
            future.result()
    assert taken._value == 180
    assert 180 <= row().used <= 190


@pytest.mark.django_db(transaction=True)
def test_budgets_of_several_processes_never_take_more_than_there_is() -> None:
    account = Account.objects.create(slug="sim", name="Simulator")
    shares = [Budget(account.pk) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda share: take(share, 40, is_urgent=True), shares))
    assert row().used == 160


def test_a_process_has_one_share(account: Account) -> None:
    assert budget_of(account) is budget_of(Account.objects.get())


def test_a_child_process_begins_with_nothing() -> None:
    """Neither requests nor a held lock come along."""
    program = """
import os
from types import SimpleNamespace
import django
django.setup()
from broker.budget import budget_of
account = SimpleNamespace(pk=1)
share = budget_of(account)
share._tokens = 9
share._lock.acquire()
child = os.fork()
if child == 0:
    fresh = budget_of(account)
    os._exit(0 if fresh._tokens == 0 and fresh._lock.acquire(timeout=1) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert budget_of(account) is share
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_headers_are_read_by_the_servers_own_clock() -> None:
    headers = {
        "X-RateLimit-Limit": "200",
        "X-RateLimit-Remaining": "17",
        "X-RateLimit-Reset": str(int(datetime(2031, 1, 1, 0, 1, tzinfo=UTC).timestamp())),
        "Date": "Wed, 01 Jan 2031 00:00:40 GMT",
    }
    assert rate_news(headers) == RateNews(limit=200, remaining=17, resets_in=20)
    assert retry_after(headers) == 20


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "1"}, {"X-RateLimit-Limit": "200"}],
)
def test_headers_that_say_nothing_are_no_news(headers: dict[str, str]) -> None:
    assert rate_news(headers) is None


@pytest.mark.parametrize("reset", ["0", "x", "99999999999999999999", "99999999999"])
def test_a_reset_far_away_is_not_believed(reset: str) -> None:
    headers = {
        "X-RateLimit-Limit": "200",
        "X-RateLimit-Remaining": "1",
        "X-RateLimit-Reset": reset,
        "Date": "Wed, 01 Jan 2031 00:00:40 GMT",
    }
    news = rate_news(headers)
    assert news is not None
    assert news.resets_in is None
