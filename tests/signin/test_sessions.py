"""How long a session lasts, what keeps it alive, and what ends all of a person's sessions."""

import time
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from audit.models import AuditEntry
from signin.middleware import LIMITED_UPLOADS
from tests.conftest import PASSWORD
from tests.signin.codes import code_for, log_in, set_up_codes
from tradingsite.people import ensure_person

pytestmark = pytest.mark.django_db
POLL = {"HX-Request": "true", "HX-Target": "orders", "HX-Trigger": "orders"}


def aged(client, **seconds):
    session = client.session
    for name, ago in seconds.items():
        session[name] = time.time() - ago
    session.save()


def is_in(client) -> bool:
    return client.get("/").status_code == 200


def test_a_session_ends_after_an_hour_without_a_sign_of_its_person(client, people):
    log_in(client, "trader")
    aged(client, seen_at=3590)
    assert is_in(client)
    aged(client, seen_at=3601)
    answer = client.get("/orders/", follow=True)
    assert urlsplit(answer.redirect_chain[-1][0]).path == "/accounts/login/"
    assert "60 minutes without a sign of you" in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_session_ends_after_twelve_hours_whatever_its_person_does(client, people):
    log_in(client, "trader")
    aged(client, signed_in_at=12 * 3600 + 1, seen_at=1)
    assert "12 hours at most" in client.get("/", follow=True).content.decode()


def test_a_session_without_its_times_is_over(client, people):
    log_in(client, "trader")
    session = client.session
    del session["signed_in_at"]
    session.save()
    assert not is_in(client)


@pytest.mark.parametrize(
    ("path", "headers", "counts"),
    [
        ("/orders/", {}, True),
        ("/orders/", {"HX-Request": "true", "HX-Target": "orders", "HX-Trigger": "filter"}, True),
        ("/orders/", POLL, False),
        ("/pulse/", {}, False),
        ("/strip/", {"HX-Request": "true"}, False),
    ],
)
def test_what_a_page_asks_by_itself_is_no_sign_of_life(client, people, path, headers, counts):
    log_in(client, "trader")
    aged(client, seen_at=1800)
    before = client.session["seen_at"]
    assert client.get(path, headers=headers).status_code in {200, 204}
    assert (client.session["seen_at"] > before) is counts


def test_the_times_can_be_set(client, people, settings):
    settings.SESSION_IDLE_MINUTES, settings.SESSION_HOURS = 5, 1
    log_in(client, "trader")
    aged(client, seen_at=301)
    assert not is_in(client)


def test_cookies_are_kept_from_scripts_and_from_other_sites(client, people):
    log_in(client, "trader")
    cookie = client.cookies["trading_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 12 * 3600


def test_log_out_everywhere_ends_all_sessions_and_only_ones_own(people):
    first, second, other = Client(), Client(), Client()
    for client, name in ((first, "ops"), (second, "ops"), (other, "trader")):
        log_in(client, name)
    assert first.get("/accounts/logout/everywhere/").status_code == 405
    first.post("/accounts/logout/everywhere/")
    assert [is_in(client) for client in (first, second, other)] == [False, False, True]
    assert AuditEntry.objects.get(action="person.logged_out_everywhere").actor == "ops"


@pytest.mark.parametrize("act", ["password", "inactive and back"])
def test_a_new_password_or_a_pause_ends_all_sessions(people, act):
    # From 10 on allauth writes a number of a person otherwise than Django does.
    User.objects.get(username="ops").delete()
    User.objects.create(pk=400, username="one of many")
    ensure_person(username="ops", group="ops", password=PASSWORD)
    logged_in, half_way = Client(), Client()
    log_in(logged_in, "ops")
    secret = set_up_codes(logged_in)
    log_in(half_way, "ops")
    person = User.objects.get(username="ops")
    if act == "password":
        person.set_password("another good horse 8")
        person.save()
    else:
        for is_active in (False, True):
            person.is_active = is_active
            person.save()
    assert not is_in(logged_in)
    half_way.post("/accounts/login/second-factor/", {"code": code_for(secret)})
    assert not is_in(half_way)


def test_a_person_who_is_not_active_does_nothing_more(client, people):
    log_in(client, "ops")
    User.objects.filter(username="ops").update(is_active=False)  # past every hook
    assert not is_in(client)


def test_uploads_are_limited_by_person(client, people):
    log_in(client, "ops")
    answers = [client.post("/batches/new/", {}).status_code for _ in range(31)]
    assert 429 not in answers[:30]
    assert answers[30] == 429
    other = Client()
    log_in(other, "admin")
    assert other.post("/batches/new/", {}).status_code != 429
    assert "orders:batch-upload" in LIMITED_UPLOADS
