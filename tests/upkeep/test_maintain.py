"""What is old goes, what is young stays, and the books are never touched."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Task

from alerts.models import Alert, Channel, Delivery
from audit.models import AuditEntry, AuditLink
from broker.models import Account
from orders.models import Batch, Fill, Order, OrderChange, OrderEvent
from positions.models import Adjustment, Position
from reconciliation.models import Drift, Fix, Run
from signin.models import SharedCacheRow
from upkeep import retention, tasks
from upkeep.retention import RETENTIONS, Retention, delete_old
from work.models import DroppedDelivery, Heartbeat, Lease

NOW = timezone.now()
KEPT_FOR_EVER = {
    Account, Adjustment, AuditEntry, AuditLink, Batch, Drift, Fill, Fix, Order, OrderChange, OrderEvent, Position, Run
}  # fmt: skip


def rows_of(one: Retention, at: datetime, number: int) -> Any:
    channel = Channel.objects.get_or_create(name="desk", defaults={"created_at": at})[0]
    fields: dict[type, dict[str, Any]] = {
        Session: {"session_key": f"key-{number}", "session_data": "", "expire_date": at},
        SharedCacheRow: {"cache_key": f"key-{number}", "value": "", "expires": at},
        Lease: {"name": f"lease-{number}", "expires_at": at},
        Heartbeat: {"name": f"beat-{number}", "at": at},
        DroppedDelivery: {"name": f"task-{number}", "at": at, "deaths": 3},
        Task: {"id": f"task-{number}", "name": "t", "func": "f", "started": at, "stopped": at, "success": True},
        AccessAttempt: {"username": f"u{number}", "get_data": "", "post_data": "", "failures_since_start": 1},
        AccessLog: {"username": f"u{number}"},
        Delivery: {"channel": channel, "purpose": "alert", "title": "t", "body": "", "state": "sent",
                   "created_at": at, "not_before": at},
        Alert: {"key": f"k{number}", "kind": "drift", "severity": "high", "state": "closed", "sentence": "s",
                "link": "/", "first_seen_at": at, "last_seen_at": at, "closed_at": at},
    }  # fmt: skip
    made = one.model._base_manager.create(**fields.get(one.model, {"username": f"u{number}"}))
    if hasattr(made, "attempt_time"):  # set by itself
        one.model._base_manager.filter(pk=made.pk).update(attempt_time=at)
    return made


@pytest.fixture
def a_little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)


@pytest.mark.django_db
@pytest.mark.parametrize("one", RETENTIONS, ids=lambda one: one.name)
def test_what_is_old_goes_and_what_is_young_stays(one: Retention, a_little_at_once: None) -> None:
    edge = NOW - timedelta(days=one.days)
    for number in range(3):
        rows_of(one, edge - timedelta(minutes=1), number)
    young = rows_of(one, edge + timedelta(minutes=1), 3)
    assert delete_old(one, now=NOW) == 3
    assert [row.pk for row in one.model._base_manager.all()] == [young.pk]


def test_the_books_are_in_no_rule() -> None:
    assert not KEPT_FOR_EVER & {one.model for one in RETENTIONS}


@pytest.mark.django_db
def test_a_message_that_waits_is_never_too_old() -> None:
    (rule,) = [one for one in RETENTIONS if one.model is Delivery]
    made = rows_of(rule, NOW - timedelta(days=999), 1)
    Delivery.objects.filter(pk=made.pk).update(state="waiting")
    assert delete_old(rule, now=NOW) == 0


@pytest.mark.django_db(transaction=True)
def test_the_command_shows_its_progress_and_the_task_does_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    Session.objects.create(session_key="old", session_data="", expire_date=NOW - timedelta(days=2))
    call_command("maintain")
    told = capsys.readouterr().out
    assert f"1/{len(RETENTIONS)} sessions that are over, older than 0 days: 1 deleted" in told
    assert "1 rows deleted. Orders, fills, runs, fixes and the journal are kept for ever." in told
    with CaptureQueriesContext(connection) as asked:
        assert tasks.nightly_maintenance() == "0 rows deleted"
    words = "optimize" if connection.vendor == "sqlite" else "VACUUM (ANALYZE"
    assert any(words in query["sql"] for query in asked)
