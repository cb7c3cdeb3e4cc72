"""The declared schedules and their rows."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from tests.factories import make_batch, make_order
from tradingsite.schedules import PREFIX, TIMETABLES, sync_schedules
from tradingsite.tasks import find_due_work
from work import leases

pytestmark = pytest.mark.django_db
CLOSE = PREFIX + "reconcile at the close"


def test_declared_schedules_are_made_once():
    assert sync_schedules() == len(TIMETABLES)
    assert sync_schedules() == 0
    schedule = Schedule.objects.get(name=CLOSE)
    assert schedule.func == "reconciliation.tasks.reconcile_at_close"


def test_the_calendar_is_asked_for_the_close_at_every_possible_close():
    """On whole hours and between, on every day: which of them is a close is in Alpaca's calendar."""
    sync_schedules()
    next_run = Schedule.objects.get(name=CLOSE).next_run
    assert timezone.now() < next_run <= timezone.now() + timedelta(minutes=5)
    assert next_run.minute % 5 == 0


def test_a_changed_row_is_set_right_again():
    sync_schedules()
    Schedule.objects.filter(name=CLOSE).update(cron="0 3 * * *", next_run=datetime(2030, 1, 1, tzinfo=ZoneInfo("UTC")))
    assert sync_schedules() == 1
    schedule = Schedule.objects.get(name=CLOSE)
    assert schedule.cron == "*/5 * * * *"
    assert schedule.next_run.year < 2030


def test_what_is_no_longer_declared_goes_and_other_peoples_rows_stay():
    Schedule.objects.create(name=PREFIX + "old", func="x.y", schedule_type=Schedule.DAILY)
    Schedule.objects.create(name="mine", func="x.y", schedule_type=Schedule.DAILY)
    sync_schedules()
    assert set(Schedule.objects.values_list("name", flat=True)) == {
        *(PREFIX + timetable.name for timetable in TIMETABLES),
        "mine",
    }


def test_while_another_process_does_it_nothing_is_doubled():
    leases.take("sync-schedules", seconds=30, now=timezone.now(), holder="elsewhere:1:0.00")
    assert sync_schedules() == 0
    assert not Schedule.objects.exists()


def test_the_command_says_what_it_did(capsys):
    call_command("sync_schedules")
    call_command("sync_schedules")
    assert capsys.readouterr().out == f"{len(TIMETABLES)} schedules changed.\nThe schedules are as declared.\n"


def test_the_declared_functions_exist():
    from pydoc import locate

    from tradingsite.schedules import TIMETABLES

    assert all(callable(locate(timetable.function)) for timetable in TIMETABLES)


def test_everything_that_runs_by_itself_is_declared():
    assert {timetable.function for timetable in TIMETABLES} >= {
        "tradingsite.tasks.heartbeat",
        "tradingsite.tasks.find_due_work",
        "reconciliation.tasks.reconcile_at_close",
        "reconciliation.tasks.refresh_calendar",
        "reconciliation.tasks.thin_out",
        "upkeep.tasks.nightly_maintenance",
        "alerts.tasks.daily_report",
    }


def test_a_batch_is_released_and_settled_work_found_without_a_ticker(people):
    """The schedule's task alone: twice at once it queues nothing twice."""
    due = timezone.now() - timedelta(seconds=5)
    batch = make_batch(state="scheduled", scheduled_for=due)
    make_order(batch.account, batch=batch, submission_state="recorded")
    unsettled = make_order(batch.account, submission_state="unconfirmed", unconfirmed_at=due)
    find_due_work()
    find_due_work()
    batch.refresh_from_db()
    assert batch.state == "released"
    names = [row.name() for row in OrmQ.objects.all()]
    assert f"execute:{batch.pk}" in names
    assert f"settle:{unsettled.account_id}" in names
    assert len(names) == len(set(names))
