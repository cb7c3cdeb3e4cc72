"""What is due is found in the rows, again and again, whatever the queue lost."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from orders.due_work import queue_due_work
from orders.models import Batch
from orders.tasks import execute_batch_task, follow_task, settle_task
from tests.factories import NOW, make_account, make_batch, make_order
from tests.orders.conftest import ONE, only_order, posts, record
from work import leases

pytestmark = pytest.mark.django_db(transaction=True)


def queued():
    return [task.name() for task in OrmQ.objects.order_by("pk")]


def test_nothing_due_queues_nothing(sim_account):
    assert queue_due_work(NOW) == 0
    assert queued() == []


def test_a_batch_is_released_executed_and_followed_by_sweeps(sim, sim_account):
    now = timezone.now()
    batch = record(sim_account, ONE, now=now)
    assert queue_due_work(now) == 1
    assert queued() == [f"execute:{batch.pk}"]
    assert queue_due_work(now) == 0  # it is queued already
    execute_batch_task(batch.pk)
    execute_batch_task(batch.pk)
    assert len(posts(sim)) == 1
    assert queue_due_work(timezone.now()) == 0
    batch.refresh_from_db()
    assert batch.state == Batch.State.FINISHED


def test_a_lost_delivery_is_queued_again(sim_account):
    record(sim_account, ONE, now=NOW)
    queue_due_work(NOW)
    OrmQ.objects.all().delete()
    assert queue_due_work(NOW + timedelta(seconds=11)) == 1


def test_what_is_being_executed_is_not_queued_again(sim_account):
    batch = record(sim_account, ONE, now=NOW)
    leases.take(f"execute:{batch.pk}", seconds=15, now=NOW)
    assert queue_due_work(NOW) == 0
    leases.give_back(f"execute:{batch.pk}")
    assert queue_due_work(NOW) == 1


def test_waiting_and_halted_orders_are_not_due(sim_account):
    batch = record(sim_account, ONE, now=NOW)
    batch.orders.update(not_before=NOW + timedelta(seconds=30))
    assert queue_due_work(NOW) == 0
    assert queue_due_work(NOW + timedelta(seconds=30)) == 1


def test_a_dead_claim_is_settled(sim_account):
    batch = make_batch(sim_account, state="released", released_at=NOW)
    gone = "elsewhere:1:0.00"
    make_order(sim_account, batch=batch, submission_state="submitting", claimed_by=gone, claimed_at=NOW)
    assert queue_due_work(NOW + timedelta(seconds=5)) == 0
    assert queue_due_work(NOW + timedelta(seconds=31)) == 1
    assert queued() == [f"settle:{sim_account.pk}"]
    settle_task(sim_account.pk)
    assert only_order(batch).submission_state == "unconfirmed"


def test_a_batch_whose_worker_died_before_its_end_is_finished(sim_account):
    batch = make_batch(sim_account, state="released", released_at=NOW)
    make_order(sim_account, batch=batch, status="filled", is_booked=True)
    assert queue_due_work(NOW) == 1
    settle_task(sim_account.pk)
    batch.refresh_from_db()
    assert batch.state == Batch.State.FINISHED


def test_working_orders_are_followed_and_inactive_accounts_left_alone(sim_account):
    make_order(sim_account, confirmed_at=NOW)
    make_order(make_account("paper", is_active=False), confirmed_at=NOW)
    assert queue_due_work(NOW) == 1
    assert queued() == [f"follow:{sim_account.pk}"]
    follow_task(sim_account.pk)
