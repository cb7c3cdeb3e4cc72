"""Orders and batches always come to an end: whatever was halted, set back, unreadable or slow meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from broker.budget import Budget
from broker.models import RequestBudget
from orders.booking import book_facts
from orders.claiming import claim
from orders.due_work import queue_due_work
from orders.following import follow_orders
from orders.halting import halt_batch
from orders.models import Batch, Order
from orders.outcomes import Later, note
from orders.releasing import release_due_batches
from orders.sending import execute_batch
from orders.settling import settle_orders
from tests.factories import NOW, make_account, make_batch, make_fill, make_order
from tests.orders.conftest import ONE, SEVEN, only_order, posts, record, release, states
from tests.orders.test_booking import facts
from work import leases

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def test_an_order_that_must_wait_while_its_batch_is_halted_is_denied():
    batch = release(make_account())
    order = claim(order_id=only_order(batch).pk, now=timezone.now())
    assert order is not None
    halt_batch(batch=batch, actor="ops", reason="fat finger", now=timezone.now())
    note(order, Later("Alpaca takes no more requests.", 5), timezone.now())
    assert queue_due_work(timezone.now()) == 1
    settle_orders(account_id=batch.account_id, now=timezone.now())
    order.refresh_from_db()
    batch.refresh_from_db()
    assert (order.submission_state, batch.state) == ("denied", Batch.State.HALTED)
    assert batch.finished_at is not None


def test_one_look_up_that_always_fails_does_not_keep_the_others_from_theirs(sim, sim_account):
    sim.fault("drop_answer", "POST", "/v2/orders", times=7)
    batch = release(sim_account, SEVEN)
    lost = batch.orders.earliest("pk")
    sim.fault("garbage", "GET", match={"client_order_id": lost.client_order_id}, times=None)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    settle_orders(account_id=sim_account.pk, now=timezone.now() + timedelta(seconds=5))
    assert list(batch.orders.unconfirmed()) == [lost]


def test_one_order_that_cannot_be_read_does_not_keep_the_others_from_being_followed(sim, sim_account):
    sim.price("AAPL", "150")
    head = "symbol,side,qty,order_type,time_in_force,limit_price\n"
    batch = release(sim_account, head + "".join(f"AAPL,buy,{n},limit,gtc,100\n" for n in (1, 2, 3)))
    execute_batch(batch_id=batch.pk, now=timezone.now())
    first, *rest = batch.orders.order_by("pk")
    sim.fault("garbage", "GET", f"/v2/orders/{first.broker_order_id}", times=None)
    Order.objects.filter(pk=first.pk).update(followed_at=None)
    sim.price("AAPL", "99")
    for order in rest:
        sim.wait_for_status(order.client_order_id, "filled")
    for number in range(3):
        follow_orders(account_id=sim_account.pk, now=timezone.now() + timedelta(seconds=3 * (number + 1)))
    assert set(Order.objects.exclude(pk=first.pk).values_list("status", "is_booked")) == {("filled", True)}


def test_fills_that_come_late_for_an_old_order_are_still_asked_for():
    weeks_ago = NOW - timedelta(days=20)
    order = make_order(status="filled", confirmed_at=weeks_ago, broker_updated_at=NOW, filled_qty="10")
    assert list(Order.objects.to_follow(NOW)) == [order]


class TestClockSetBack:
    """Times in the rows were written while the clock was a day fast."""

    def test_an_unconfirmed_order_is_looked_up(self, sim, sim_account):
        sim.fault("drop_answer", "POST", "/v2/orders")
        sim.fault("status", "GET", "/v2/orders:by_client_order_id", times=None)
        batch = release(sim_account, ONE)
        execute_batch(batch_id=batch.pk, now=timezone.now())
        sim.clear_faults()
        batch.orders.update(looked_up_at=timezone.now() + DAY, unconfirmed_at=timezone.now() + DAY)
        settle_orders(account_id=sim_account.pk, now=timezone.now())
        assert states(batch) == {"confirmed"}

    def test_absence_can_be_proven(self, sim, sim_account, quick_settling):
        batch = make_batch(sim_account, state="released", released_at=timezone.now())
        now = timezone.now()
        order = make_order(
            sim_account, batch=batch, submission_state="unconfirmed", unconfirmed_at=now + DAY, send_count=1
        )
        order.recorded_at = now
        order.save()
        for seconds in (0, 2, 6, 14):
            settle_orders(account_id=sim_account.pk, now=now + timedelta(seconds=seconds))
        assert states(batch) == {"recorded"}

    def test_a_waiting_order_is_sent(self, sim, sim_account):
        batch = release(sim_account, ONE)
        batch.orders.update(not_before=timezone.now() + DAY)
        assert queue_due_work(timezone.now()) == 1
        execute_batch(batch_id=batch.pk, now=timezone.now())
        assert states(batch) == {"confirmed"}

    def test_a_claim_is_given_up(self, sim_account):
        batch = make_batch(sim_account, state="released", released_at=NOW)
        fields: Any = {"submission_state": "submitting", "claimed_by": "elsewhere:1:0.00", "claimed_at": NOW + DAY}
        make_order(sim_account, batch=batch, **fields)
        assert queue_due_work(NOW) == 1

    def test_an_order_is_followed(self):
        order = make_order(confirmed_at=NOW + DAY, followed_at=NOW + DAY)
        assert list(Order.objects.to_follow(NOW)) == [order]

    def test_a_lost_delivery_is_queued_again(self, sim_account):
        record(sim_account, ONE, now=NOW)
        batch = Batch.objects.get()
        leases.take(f"queued:execute:{batch.pk}", seconds=10, now=NOW + DAY, holder="queue")
        assert queue_due_work(NOW) == 1

    def test_requests_are_made(self, sim_account):
        Budget(sim_account.pk).take(is_urgent=True)
        RequestBudget.objects.update(blocked_until=timezone.now() + DAY)
        Budget(sim_account.pk).take(is_urgent=True)


def test_a_budget_that_is_spent_keeps_an_order_from_being_claimed(sim, sim_account):
    """What waits for a request can still be halted, so it waits before it is claimed."""
    batch = release(sim_account, ONE)
    Budget(sim_account.pk).take(is_urgent=True)
    RequestBudget.objects.update(blocked_until=timezone.now() + timedelta(seconds=30))
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    assert (order.submission_state, order.send_count) == ("recorded", 0)
    assert order.not_before is not None
    assert posts(sim) == []


def appointment(batch):
    return only_order(batch).not_before or timezone.now()


def test_an_hour_without_alpaca_is_not_an_event_a_second(sim, sim_account, settings):
    batch = release(sim_account, ONE)
    url, settings.ALPACA_BASE_URL = settings.ALPACA_BASE_URL, "http://127.0.0.1:9"
    start = now = timezone.now()
    while now < start + timedelta(hours=1):
        execute_batch(batch_id=batch.pk, now=now, clock=lambda: now)  # noqa: B023
        tried, now = now, max(appointment(batch), now + timedelta(seconds=1))
    assert only_order(batch).send_count < 150
    assert now - tried <= timedelta(minutes=1)
    settings.ALPACA_BASE_URL = url
    execute_batch(batch_id=batch.pk, now=now, clock=lambda: now)
    assert len(posts(sim)) == 1
    assert states(batch) == {"confirmed"}


def test_a_batch_that_could_not_be_sent_all_day_is_not_sent_by_itself_any_more(sim, sim_account):
    """The worker was off over the week-end, say: nobody wants Friday's market orders on Monday."""
    batch = release(sim_account, SEVEN)
    monday = timezone.now() + timedelta(days=3)
    assert claim(order_id=batch.orders.earliest("pk").pk, now=monday) is None
    release_due_batches(now=monday)
    batch.refresh_from_db()
    assert batch.state == Batch.State.HALTED
    assert states(batch) == {"denied"}
    assert "released" in batch.orders.earliest("pk").refusal


def test_the_books_close_although_state_and_fills_were_booked_apart():
    """On PostgreSQL two processes can each book one half without seeing the other's."""
    order = make_order(status="filled", client_order_id="ts-1-2-abc", confirmed_at=NOW)
    seen = facts("filled", filled="10")
    Order.objects.filter(pk=order.pk).update(broker_order_id=seen.broker_order_id)
    book_facts(order_id=order.pk, facts=seen, now=NOW, actor="test")
    make_fill(order)
    book_facts(order_id=order.pk, facts=seen, now=NOW, actor="test")
    order.refresh_from_db()
    assert order.is_booked


def test_a_close_look_shows_that_its_worker_is_at_something_long(sim, sim_account, monkeypatch):
    """The watchdog would else replace a cluster whose workers all wait for an Alpaca that hangs."""
    held = []

    def look(**given):
        held.append(leases.is_free(f"look:{batch.pk}", now=timezone.now()))
        return False

    monkeypatch.setattr("orders.following.look", look)
    batch = release(sim_account, ONE)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert held == [False]
