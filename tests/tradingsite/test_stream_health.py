"""Pages say honestly how the stream is doing, and only a live one is relied on."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker.models import StreamState
from broker.stream_state import health_of, is_streamed
from orders.models import Order
from tests.factories import NOW, make_account, make_order
from tradingsite.stream_doubts import look_into

pytestmark = pytest.mark.django_db


def make_state(now=NOW, **fields):
    live = {"holder": "host:1:2.00", "connected_at": now - timedelta(hours=1), "last_heard_at": now, "updated_at": now}
    return StreamState.objects.create(account=make_account(), **{**live, **fields})


@pytest.mark.parametrize(
    ("fields", "word", "tone"),
    [
        ({}, "live", "ok"),
        ({"holder": ""}, "off", "mute"),
        ({"updated_at": NOW - timedelta(seconds=21)}, "stale", "warn"),
        ({"last_heard_at": NOW - timedelta(seconds=21)}, "stale", "warn"),
        ({"connected_at": None, "gap_since": NOW, "gap_reason": "It broke."}, "broken", "warn"),
        ({"gap_since": NOW, "gap_reason": "It broke."}, "catching_up", "warn"),
    ],
)
def test_what_is_said_of_it(fields, word, tone):
    health = health_of(make_state(**fields), NOW)
    assert (health.word, health.tone) == (word, tone)
    assert is_streamed(make_account().pk, NOW) is (word == "live")


def test_nothing_is_said_of_what_was_never_followed():
    assert health_of(None, NOW).label == "not followed: sweeps only"


def test_the_pages_tell_it(client, people):
    client.force_login(people.trader)
    state = make_state(timezone.now(), reconnects=2, events=41)
    page = client.get("/system/").content.decode()
    assert "Orders and fills are booked as they happen" in page
    assert "41 in all" in page
    assert "2 times" in page
    assert ">live<" in client.get("/").content.decode()
    state.connected_at, state.gap_since, state.gap_reason = None, timezone.now(), "No pong came within 10 s."
    state.save()
    page = client.get("/system/").content.decode()
    assert "No pong came within 10 s." in page
    assert "Sweeps ask more often meanwhile" in page
    assert "broken" in client.get("/").content.decode()


@pytest.mark.parametrize(("age", "pause"), [(timedelta(minutes=1), 10), (timedelta(minutes=30), 60)])
def test_sweeps_ask_seldomer_while_it_is_live_and_as_before_when_not(age, pause):
    make_order(confirmed_at=NOW - age, followed_at=NOW - timedelta(seconds=pause - 1))
    assert Order.objects.to_follow(NOW).exists()
    assert not Order.objects.to_follow(NOW, is_streamed=True).exists()
    Order.objects.update(followed_at=NOW - timedelta(seconds=pause))
    assert Order.objects.to_follow(NOW, is_streamed=True).exists()


def test_doubts_start_a_run_a_minute_and_none_beside_one_that_waits():
    account = make_account()
    assert look_into(account=account, doubt="AAPL", now=NOW)
    assert look_into(account=account, doubt="AAPL", now=NOW)
    (run,) = account.runs.all()
    assert run.requested_by == "system:stream"
    account.runs.update(state="in_sync")
    assert not look_into(account=account, doubt="AAPL", now=NOW + timedelta(seconds=30))
    assert look_into(account=account, doubt="AAPL", now=NOW + timedelta(seconds=61))
    assert account.runs.count() == 2


def test_the_pulse_changes_with_the_books_and_needs_a_log_in(client, people):
    assert client.get("/pulse/").status_code == 302
    client.force_login(people.trader)
    first = client.get("/pulse/").content
    assert client.get("/pulse/").content == first
    order = make_order()
    order.events.create(at=NOW, kind="status", text="new → filled", actor="system:stream")
    assert client.get("/pulse/").content != first


def test_the_pulse_is_cheap_and_writes_nothing(client, people, django_assert_num_queries):
    client.force_login(people.trader)
    client.get("/pulse/")
    with django_assert_num_queries(4) as asked:  # the session, the person, and two keys
        client.get("/pulse/")
    assert all(query["sql"].startswith("SELECT") for query in asked)
