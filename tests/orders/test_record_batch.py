"""Recording is all or nothing, once, and with who did it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.db import connections

from audit.models import AuditEntry
from orders.batch_line import LineError
from orders.checking import CheckedBatch
from orders.errors import AccountNotUsable, BatchNotUsable, DuplicateBatch
from orders.halting import halt_batch
from orders.identity import MAX_LENGTH, OWN_PREFIX, is_ours, new_client_order_id
from orders.models import Batch, Order
from orders.recording import record_batch
from tests.factories import NOW, make_account
from tests.orders.conftest import ONE, SEVEN, checked, record


@pytest.mark.django_db
def test_a_batch_is_recorded_with_its_orders_events_and_audit_entry():
    batch = record(make_account(), SEVEN, now=NOW)
    assert batch.state == Batch.State.SCHEDULED
    orders = list(batch.orders.order_by("line_number"))
    assert [order.line_number for order in orders] == [2, 3, 4, 5, 6, 7, 8]
    assert {order.submission_state for order in orders} == {"recorded"}
    assert all(is_ours(order.client_order_id) for order in orders)
    assert all([event.kind for event in order.events.all()] == ["recorded"] for order in orders)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.subject_id) == ("batch.recorded", "ops", str(batch.pk))


@pytest.mark.django_db
def test_a_batch_with_errors_records_nothing():
    broken = CheckedBatch(name="x", source="csv", lines=checked(ONE).lines, errors=(LineError(2, "qty", "no"),))
    with pytest.raises(BatchNotUsable):
        record_batch(account=make_account(), checked=broken, actor="ops", now=NOW, scheduled_for=None)
    assert not Order.objects.exists()


@pytest.mark.django_db
def test_the_same_orders_are_recorded_once_a_day_and_account():
    account = make_account()
    first = record(account, now=NOW)
    with pytest.raises(DuplicateBatch, match=f"batch {first.pk}"):
        record(account, now=NOW + timedelta(hours=23))
    record(make_account("paper"), now=NOW)
    record(account, now=NOW + timedelta(hours=24))
    assert Batch.objects.count() == 3


@pytest.mark.django_db
def test_a_batch_of_which_nothing_was_sent_may_be_recorded_again():
    account = make_account()
    halt_batch(batch=record(account, now=NOW), actor="ops", reason="wrong day", now=NOW)
    record(account, now=NOW)
    assert Batch.objects.count() == 2


@pytest.mark.django_db
def test_a_halted_batch_of_which_something_was_sent_counts():
    account = make_account()
    batch = record(account, SEVEN, now=NOW)
    batch.orders.filter(line_number=2).update(submission_state="unconfirmed")
    halt_batch(batch=batch, actor="ops", reason="stop", now=NOW)
    with pytest.raises(DuplicateBatch):
        record(account, SEVEN, now=NOW)


@pytest.mark.django_db
@pytest.mark.parametrize(("state", "again"), [("rejected", True), ("not_placed", False), ("confirmed", False)])
def test_a_finished_batch_of_which_alpaca_took_nothing_may_be_recorded_again(state, again):
    account = make_account()
    batch = record(account, now=NOW)
    batch.orders.update(submission_state=state, broker_order_id="b-1" if state == "confirmed" else "")
    Batch.objects.update(state="finished")
    with nullcontext() if again else pytest.raises(DuplicateBatch):
        record(account, now=NOW)
    assert Batch.objects.count() == 1 + again


@pytest.mark.django_db
def test_an_inactive_account_records_nothing():
    account = make_account(is_active=False)
    with pytest.raises(AccountNotUsable):
        record(account, now=NOW)
    assert not Batch.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_people_with_the_same_file_one_records_it():
    account = make_account()
    barrier = threading.Barrier(4)

    def try_it(_):
        try:
            barrier.wait()
            return record(account, SEVEN, now=NOW).pk
        except DuplicateBatch:
            return None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(try_it, range(4)))
    assert len([pk for pk in results if pk]) == Batch.objects.count() == 1
    assert Order.objects.count() == 7


def test_ids_are_ours_short_and_different():
    ids = {new_client_order_id(batch_id=10**12, line_number=10**6) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) <= MAX_LENGTH and one.startswith(OWN_PREFIX) for one in ids)
    assert not is_ours("manual-1")
