"""The rules of settling, without a broker's moods: what counts as proof, and when."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker.errors import BrokerUnavailable, NotFound
from orders.due_work import queue_due_work
from orders.models import Batch
from orders.settling import settle_orders
from tests.factories import NOW, make_account, make_batch, make_order
from tests.orders.test_booking import facts

pytestmark = pytest.mark.django_db


class Answers:
    """A gateway that knows one answer."""

    calls = 0

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def get_order_by_client_id(self, client_order_id):
        self.asked.append(client_order_id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def answers(monkeypatch):
    gateway = Answers(NotFound("no such order"))
    monkeypatch.setattr("orders.settling.open_gateway", lambda account: gateway)
    return gateway


def unconfirmed(**fields):
    batch = make_batch(state="released", released_at=NOW)
    given = {"submission_state": "unconfirmed", "unconfirmed_at": NOW, "send_count": 1, **fields}
    return make_order(batch=batch, client_order_id="ts-1-2-abc", symbol="AAPL", **given)


def settle(order, seconds):
    settle_orders(account_id=order.account_id, now=NOW + timedelta(seconds=seconds))
    order.refresh_from_db()
    return order.submission_state


def test_look_ups_are_spaced_wider_and_wider(answers):
    order = unconfirmed()
    asked_at = []
    for seconds in range(30):
        before = len(answers.asked)
        settle(order, seconds)
        if len(answers.asked) > before:
            asked_at.append(seconds)
    assert asked_at == [0, 2, 6, 14]


def test_absence_needs_many_look_ups_and_a_long_while(answers, settings):
    settings.NOT_PLACED_LOOKUPS, settings.NOT_PLACED_AFTER_SECONDS = 4, 30
    order = unconfirmed()
    for seconds in (0, 2, 6, 14, 29):
        assert settle(order, seconds) == "unconfirmed"
    assert order.lookup_count == 4
    assert settle(order, 30) == "recorded"
    assert order.events.last().text == "Not at Alpaca after 5 look-ups: to be sent again under the same id."
    assert order.client_order_id == "ts-1-2-abc"


def test_a_long_while_alone_is_no_proof(answers):
    order = unconfirmed()
    assert settle(order, 299) == "unconfirmed"


def test_failed_look_ups_prove_nothing(answers):
    answers.answer = BrokerUnavailable("503")
    order = unconfirmed()
    for seconds in range(0, 600, 5):
        assert settle(order, seconds) == "unconfirmed"
    assert order.lookup_count == 0


@pytest.mark.parametrize("reason", ["too old", "batch halted"])
def test_what_may_not_be_sent_again_is_left_to_a_person(answers, reason):
    order = unconfirmed(lookup_count=9)
    if reason == "too old":
        assert settle(order, 301) == "not_placed"
    else:
        Batch.objects.update(state="halted")
        assert settle(order, 60) == "not_placed"
    assert "too old" in order.refusal or reason == "batch halted"
    assert Batch.objects.get().finished_at is not None


def test_found_means_confirmed_and_the_batch_is_finished(answers):
    answers.answer = facts("filled", filled="10")
    order = unconfirmed(lookup_count=3)
    assert settle(order, 20) == "confirmed"
    assert order.filled_qty == 10
    assert Batch.objects.get().state == "finished"


def test_claims_are_given_up_when_their_worker_is_dead_or_too_slow(answers, settings):
    import socket

    alive = "elsewhere:1:0.00"
    slow = unconfirmed(submission_state="submitting", claimed_by=alive, claimed_at=NOW)
    dead = make_order(
        submission_state="submitting", claimed_by=f"{socket.gethostname()}:999999:1.00", claimed_at=NOW, symbol="F"
    )
    settle(slow, 1)
    dead.refresh_from_db()
    assert (slow.submission_state, dead.submission_state) == ("submitting", "unconfirmed")
    assert settle(slow, settings.CLAIM_LEASE_SECONDS + 1) == "unconfirmed"


def test_two_sweeps_of_one_moment_ask_once(answers, monkeypatch):
    order = unconfirmed()
    asking = answers.get_order_by_client_id

    def ask_while_another_sweep_runs(client_order_id):
        if len(answers.asked) == 0:
            answers.asked.append(client_order_id)
            settle_orders(account_id=order.account_id, now=NOW)
        return asking(client_order_id)

    monkeypatch.setattr(answers, "get_order_by_client_id", ask_while_another_sweep_runs)
    settle(order, 0)
    assert order.lookup_count == 1


def test_nothing_to_settle_asks_nobody(answers):
    settle_orders(account_id=make_account().pk, now=NOW)
    assert answers.asked == []


def test_while_a_sweep_waits_for_alpaca_no_other_is_begun_or_queued(answers, monkeypatch):
    """Else they would pile up while Alpaca hangs, until no worker is left for anything else."""
    now = timezone.now()
    order = unconfirmed(unconfirmed_at=now)
    queued = []

    def ask(client_order_id):
        answers.asked.append(client_order_id)
        settle_orders(account_id=order.account_id, now=now + timedelta(seconds=5))
        queued.append(queue_due_work(now + timedelta(seconds=5)))
        raise BrokerUnavailable("It hangs.")

    monkeypatch.setattr(answers, "get_order_by_client_id", ask)
    settle_orders(account_id=order.account_id, now=now)
    assert (len(answers.asked), queued) == (1, [0])


def test_a_long_outage_is_not_asked_about_every_second(answers):
    answers.answer = BrokerUnavailable("503")
    order = unconfirmed()
    for seconds in range(3600):
        settle(order, seconds)
    assert 120 <= len(answers.asked) < 200
