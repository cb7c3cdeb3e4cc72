"""Schedules and tasks are looked at; one may be asked to run now."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Schedule

from audit.models import AuditEntry
from tradingsite.schedules import sync_schedules

pytestmark = pytest.mark.django_db
PAGES = ["schedule", "success", "failure", "ormq"]


@pytest.fixture
def admin(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.admin)
    sync_schedules()
    return client


@pytest.mark.parametrize("name", PAGES)
def test_every_list_opens_and_nothing_can_be_added_or_deleted(admin: Client, name: str) -> None:
    assert admin.get(reverse(f"admin:django_q_{name}_changelist")).status_code == 200
    assert admin.get(reverse(f"admin:django_q_{name}_add")).status_code == 403
    page = admin.get(reverse(f"admin:django_q_{name}_changelist")).content.decode()
    assert "delete_selected" not in page


def test_schedule_is_asked_to_run_now(admin: Client) -> None:
    schedule = Schedule.objects.first()
    assert schedule is not None
    Schedule.objects.update(next_run=timezone.now() + timedelta(days=2))
    data = {"action": "run_now", "_selected_action": [schedule.pk]}
    assert admin.post(reverse("admin:django_q_schedule_changelist"), data).status_code == 302
    schedule.refresh_from_db()
    assert schedule.next_run is not None
    assert schedule.next_run <= timezone.now()
    assert AuditEntry.objects.get(action="schedule.run_now").actor == "admin"
    assert Schedule.objects.filter(next_run__lte=timezone.now()).count() == 1


def test_schedule_itself_is_not_edited(admin: Client) -> None:
    schedule = Schedule.objects.first()
    assert schedule is not None
    url = reverse("admin:django_q_schedule_change", args=[schedule.pk])
    assert admin.post(url, {"func": "os.system"}).status_code == 403
