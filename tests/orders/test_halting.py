"""The kill switch and the halting of one batch: what has not been claimed is not sent."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from orders.claiming import claim
from orders.errors import WrongState
from orders.halting import halt_batch, halt_sending, resume_sending
from orders.models import Batch
from orders.releasing import RELEASE_WITHIN, next_time, release_batch, release_due_batches
from orders.sending import execute_batch
from tests.factories import NOW, make_account
from tests.orders.conftest import ONE, SEVEN, posts, record, release, states


@pytest.mark.django_db(transaction=True)
def test_the_kill_switch_stops_sending_until_it_is_turned_off(sim, sim_account):
    batch = release(sim_account, SEVEN)
    halt_sending(account=sim_account, actor="ops", reason="news", now=timezone.now())
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert states(batch) == {"recorded"}
    assert posts(sim) == []
    resume_sending(account=sim_account, actor="ops", reason="quiet", now=timezone.now())
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert states(batch) == {"confirmed"}
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True))[-2:] == [
        "account.halted",
        "account.resumed",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_halt_between_look_and_claim_stops_the_claim(sim, sim_account, monkeypatch):
    batch = release(sim_account, SEVEN)

    def halted_first(**given):
        if not sim_account.sending_halted:
            halt_sending(account=sim_account, actor="ops", reason="news", now=timezone.now())
        return claim(**given)

    monkeypatch.setattr("orders.sending.claim", halted_first)
    monkeypatch.setattr("django.conf.settings.ORDERS_IN_FLIGHT", 1)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert posts(sim) == []
    assert states(batch) == {"recorded"}


@pytest.mark.django_db
def test_an_order_is_claimed_once_and_only_when_it_may_be():
    account = make_account()
    batch = record(account, ONE, now=NOW)
    [order] = batch.orders.all()
    assert claim(order_id=order.pk, now=NOW) is None  # not released
    release_batch(batch=batch, actor="ops", now=NOW)
    batch.orders.update(not_before=NOW + timedelta(seconds=5))
    assert claim(order_id=order.pk, now=NOW) is None  # not yet
    claimed = claim(order_id=order.pk, now=NOW + timedelta(seconds=5))
    assert claimed is not None
    assert (claimed.submission_state, claimed.send_count) == ("submitting", 1)
    assert claim(order_id=order.pk, now=NOW + timedelta(seconds=6)) is None


@pytest.mark.django_db
def test_halting_twice_says_so():
    account = make_account()
    halt_sending(account=account, actor="ops", reason="news", now=NOW)
    assert (account.halted_by, account.halted_reason, account.halted_at) == ("ops", "news", NOW)
    with pytest.raises(WrongState, match="halted already"):
        halt_sending(account=account, actor="ops", reason="news", now=NOW)
    resume_sending(account=account, actor="ops", reason="", now=NOW)
    with pytest.raises(WrongState, match="not halted"):
        resume_sending(account=account, actor="ops", reason="", now=NOW)


@pytest.mark.django_db
def test_a_halted_batch_denies_what_was_not_sent():
    batch = record(make_account(), SEVEN, now=NOW)
    release_batch(batch=batch, actor="ops", now=NOW)
    first = batch.orders.earliest("line_number")
    claim(order_id=first.pk, now=NOW)
    assert halt_batch(batch=batch, actor="ops", reason="fat finger", now=NOW) == 6
    assert batch.state == Batch.State.HALTED
    assert batch.finished_at is None  # one is still under way
    denied = batch.orders.filter(submission_state="denied")
    assert {order.refusal for order in denied} == {"Halted: fat finger"}
    assert all(order.events.filter(kind="denied").count() == 1 for order in denied)
    first.refresh_from_db()
    assert first.submission_state == "submitting"
    with pytest.raises(WrongState):
        halt_batch(batch=batch, actor="ops", reason="again", now=NOW)
    assert AuditEntry.objects.filter(action="batch.halted").get().reason == "fat finger"


@pytest.mark.django_db
def test_a_batch_is_released_once():
    batch = record(make_account(), now=NOW)
    assert release_batch(batch=batch, actor="ops", now=NOW)
    assert not release_batch(batch=batch, actor="ops", now=NOW)
    assert AuditEntry.objects.filter(action="batch.released").count() == 1


@pytest.mark.django_db
def test_a_scheduled_batch_is_released_at_its_time():
    batch = record(make_account(), now=NOW, scheduled_for=NOW + timedelta(hours=2))
    release_due_batches(now=NOW + timedelta(hours=1, minutes=59))
    batch.refresh_from_db()
    assert batch.state == Batch.State.SCHEDULED
    release_due_batches(now=NOW + timedelta(hours=2))
    batch.refresh_from_db()
    assert batch.state == Batch.State.RELEASED


@pytest.mark.django_db
def test_a_batch_whose_time_is_long_gone_is_not_sent_by_itself():
    batch = record(make_account(), now=NOW, scheduled_for=NOW)
    release_due_batches(now=NOW + RELEASE_WITHIN + timedelta(seconds=1))
    batch.refresh_from_db()
    assert batch.state == Batch.State.HALTED
    assert states(batch) == {"denied"}
    assert "nothing was running" in batch.orders.get().refusal


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2025-11-06T12:59:00+00:00", "2025-11-06T13:00:00+00:00"),
        ("2025-11-06T13:00:00+00:00", "2025-11-07T13:00:00+00:00"),
        ("2026-03-07T20:00:00+00:00", "2026-03-08T12:00:00+00:00"),  # clocks go forward in the night
        ("2025-11-02T03:00:00+00:00", "2025-11-02T13:00:00+00:00"),  # and back; still 1 November in New York
    ],
)
def test_eight_o_clock_is_new_york_time(now, expected):
    from datetime import datetime

    assert next_time("08:00", now=datetime.fromisoformat(now)) == datetime.fromisoformat(expected)
