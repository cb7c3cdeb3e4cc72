"""The System page: schedules with their runs, failures with a retry, room on the disk."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success

from audit.models import AuditEntry
from broker.models import TradingDay
from tradingsite import system_facts
from tradingsite.retrying import retry_failure
from tradingsite.schedules import sync_schedules

pytestmark = pytest.mark.django_db


def make_failure(pk: str = "f1") -> Failure:
    now = timezone.now()
    return Failure.objects.create(
        id=pk, name="follow:1", func="orders.tasks.follow_task", args=(7,), kwargs={}, started=now, stopped=now,
        success=False, result="Boom",
    )  # fmt: skip


def test_schedules_show_next_and_last_run(client: Client, people: SimpleNamespace) -> None:
    sync_schedules()
    schedule = Schedule.objects.get(name__endswith="close")
    ended = timezone.now() - timedelta(hours=3)
    Success.objects.create(
        id="t1", name="x", func=schedule.func, started=ended, stopped=ended, success=True, result="1 runs requested"
    )
    Schedule.objects.filter(pk=schedule.pk).update(task="t1")
    found = {row.name: row for row in system_facts.schedules()}
    assert (found["reconcile at the close"].last_run, found["reconcile at the close"].went_well) == (ended, True)
    assert found["thin out old figures"].last_run is None
    client.force_login(people.trader)
    text = client.get("/system/").content.decode()
    assert "reconcile at the close" in text
    assert "*/5 * * * *" in text
    assert "free of" in text


def test_the_calendar_is_told_and_that_it_is_not_known(client: Client, people: SimpleNamespace) -> None:
    client.force_login(people.trader)
    assert "The trading calendar has not been read" in client.get("/system/").content.decode()
    now = timezone.now()
    for days in range(-3, 12):
        day, at = now.date() + timedelta(days=days), now + timedelta(days=days)
        TradingDay.objects.create(day=day, open_at=at, close_at=at + timedelta(hours=3), read_at=now)
    facts = system_facts.calendar_facts(now)
    assert facts.coming is not None
    assert (facts.known_until, facts.coming.is_assumed) == (now.date() + timedelta(days=11), False)
    assert "Next close of a session" in client.get("/system/").content.decode()


def test_retry_queues_the_task_once_and_says_who(
    client: Client, people: SimpleNamespace, django_capture_on_commit_callbacks
) -> None:
    make_failure()
    client.force_login(people.ops)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            client.post(reverse("retry", args=["f1"]))
    assert not Failure.objects.exists()
    (queued,) = OrmQ.objects.all()
    assert (queued.task["func"], queued.task["args"]) == ("orders.tasks.follow_task", (7,))
    entry = AuditEntry.objects.get(action="task.retried")
    assert (entry.actor, entry.before["result"]) == ("ops", "Boom")


def test_retry_of_nothing_is_no_error() -> None:
    assert retry_failure(failure_id="gone", actor="ops", now=timezone.now()) is None
    assert not OrmQ.objects.exists()


def test_traders_see_failures_and_cannot_retry(client: Client, people: SimpleNamespace) -> None:
    make_failure()
    client.force_login(people.trader)
    text = client.get("/system/").content.decode()
    assert "Boom" in text
    assert reverse("retry", args=["f1"]) not in text
    assert client.post(reverse("retry", args=["f1"])).status_code == 403
    assert client.get(reverse("retry", args=["f1"])).status_code == 405
    client.logout()
    assert client.post(reverse("retry", args=["f1"])).status_code == 302
    assert Failure.objects.exists()


def test_queries_do_not_grow_with_failures_and_schedules(
    client: Client, people: SimpleNamespace, django_assert_num_queries, django_assert_max_num_queries
) -> None:
    client.force_login(people.ops)
    client.get("/system/")
    with django_assert_max_num_queries(40) as few:
        client.get("/system/")
    for number in range(30):
        make_failure(f"f{number}")
        Schedule.objects.create(name=f"s{number}", func="x", schedule_type=Schedule.DAILY)
    with django_assert_num_queries(len(few)):
        client.get("/system/")
