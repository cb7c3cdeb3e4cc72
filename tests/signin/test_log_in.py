"""The log-in: who gets in, what strangers learn, when it is locked, and what the journal keeps."""

import re

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client

from audit.models import AuditEntry
from signin.adapters import REFUSAL
from tests.conftest import PASSWORD
from tests.signin.codes import log_in

pytestmark = pytest.mark.django_db


def actions():
    return list(AuditEntry.objects.filter(action__startswith="person.").order_by("pk").values_list("action", "actor"))


def test_username_and_password_let_in_by_one_step(client, people):
    answer = log_in(client, "trader")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.get("/").status_code == 200
    assert actions() == [("person.logged_in", "trader")]


def test_the_way_leads_on_but_never_to_strangers(client, people):
    assert log_in(client, "trader", QUERY_STRING="next=/orders/")["Location"] == "/orders/"
    other = Client()
    assert log_in(other, "trader", QUERY_STRING="next=https://evil.example/")["Location"] == "/"


def test_a_session_gets_a_new_key_at_log_in(client, people):
    client.get("/accounts/login/")
    session = client.session
    session["kept"] = 1
    session.save()
    before = session.session_key
    log_in(client, "trader")
    assert client.session.session_key != before
    assert not Session.objects.filter(pk=before).exists()


@pytest.mark.parametrize("name", ["ops", "nobody-of-this-name", "gone"])
def test_a_stranger_learns_no_name(client, people, name, monkeypatch):
    """Unknown, known and inactive: one answer, and the password is hashed once each, which is what takes the time."""
    gone = User.objects.create_user("gone", password=PASSWORD)
    gone.is_active = False
    gone.save()
    hashed = []
    encode = MD5PasswordHasher.encode

    def counted(*args, **options):
        hashed.append(1)
        return encode(*args, **options)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    password = PASSWORD if name == "gone" else "wrong horse 7777"
    answer = log_in(client, name, password)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert REFUSAL in text
    assert "_auth_user_id" not in client.session
    assert len(hashed) == 1


def test_sign_up_reset_and_codes_by_mail_are_not_there(client):
    for path in ("signup/", "password/reset/", "login/code/", "email/"):
        assert client.get(f"/accounts/{path}").status_code == 404
        assert client.post(f"/accounts/{path}", {"email": "a@example.com"}).status_code == 404
    assert "sign up" not in client.get("/accounts/login/").content.decode().lower()


def test_five_failures_lock_the_name_out_at_this_address_only(client, people):
    for _ in range(4):
        assert log_in(client, "ops", "wrong horse 7777").status_code == 200
    assert log_in(client, "ops", "wrong horse 7777").status_code == 429
    answer = log_in(client, "ops")
    assert answer.status_code == 429
    assert "quarter of an hour" in answer.content.decode()
    assert log_in(Client(), "trader").status_code == 302
    assert log_in(Client(), "ops", REMOTE_ADDR="10.0.0.9").status_code == 302
    assert actions() == [
        *[("person.login_failed", "ops")] * 4,
        ("person.locked_out", "ops"),
        ("person.logged_in", "trader"),
        ("person.logged_in", "ops"),
    ]


def test_an_unknown_name_is_locked_out_alike_and_is_written_down_nowhere(client, people):
    from axes.models import AccessAttempt

    typed = "my-secret-password-in-the-wrong-field"
    for expected in (200, 200, 200, 200, 429):
        assert log_in(client, typed, "x").status_code == expected
    assert set(actions()) == {("person.login_failed", "somebody unknown"), ("person.locked_out", "somebody unknown")}
    attempt = AccessAttempt.objects.get()
    assert typed not in f"{attempt.username} {attempt.post_data} {attempt.get_data}"


def test_guesses_from_many_addresses_are_slowed_down_too(client, people):
    for number in range(10):
        assert "do not fit" in log_in(Client(), "ops", "wrong", REMOTE_ADDR=f"10.0.0.{number}").content.decode()
    assert "Too many attempts" in log_in(Client(), "ops", REMOTE_ADDR="10.0.1.1").content.decode()


def flood(name: str) -> None:
    """A stranger fails in somebody's name from one address after the other, until nobody is asked any more."""
    for number in range(11):
        answer = log_in(Client(), name, "wrong", REMOTE_ADDR=f"10.0.0.{number}")
    assert "Too many attempts" in answer.content.decode()


def test_no_stranger_keeps_a_person_out_of_the_browser_they_know(client, people):
    log_in(client, "ops")
    client.post("/accounts/logout/")
    cookie = client.cookies["trading_browser"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert "ops" not in cookie.value
    flood("ops")
    assert log_in(client, "ops", REMOTE_ADDR="10.0.9.9").status_code == 302
    assert client.cookies["trading_browser"].value.split(":")[0] == cookie.value.split(":")[0], "counts on, not anew"
    held_up = AuditEntry.objects.filter(action="person.locked_out", actor="ops")
    assert [entry.summary for entry in held_up] == ["Held up for a while after too many failed log-ins, from 10.0.0.10"]


def test_a_known_browser_is_known_for_its_person_only_and_counts_for_itself(client, people):
    log_in(client, "trader")
    client.post("/accounts/logout/")
    flood("ops")
    assert "Too many" in log_in(client, "ops", REMOTE_ADDR="10.0.9.9").content.decode()
    other = Client()
    other.cookies["trading_browser"] = "WyJ4IiwieSJd:forged:forged"
    assert "Too many" in log_in(other, "ops", REMOTE_ADDR="10.0.9.9").content.decode()
    for number in range(10):
        log_in(client, "trader", "wrong", REMOTE_ADDR=f"10.0.8.{number}")
    assert "Too many" in log_in(client, "trader", REMOTE_ADDR="10.0.9.9").content.decode()


def test_names_by_the_hundred_do_not_push_out_what_is_counted(client, people):
    for _ in range(11):
        flooded = log_in(Client(), "ops", "wrong", REMOTE_ADDR="10.0.0.1")
    assert flooded.status_code in {200, 429}
    for number in range(400):
        cache.set(f"signin.test:{number}", 1, 900)
    assert log_in(Client(), "ops", REMOTE_ADDR="10.0.0.2").status_code == 200


def test_one_customer_of_ipv6_is_one_stranger(client, people):
    for number in range(5):
        log_in(Client(), "ops", "wrong", REMOTE_ADDR=f"2001:db8:1:2::{number}")
    assert log_in(Client(), "ops", REMOTE_ADDR="2001:db8:1:2:ffff::1").status_code == 429
    assert log_in(Client(), "ops", REMOTE_ADDR="2001:db8:1:3::1").status_code == 302
    assert log_in(Client(), "trader", REMOTE_ADDR="::ffff:10.1.2.3").status_code == 302
    entries = AuditEntry.objects.filter(action="person.logged_in").order_by("pk")
    assert [entry.summary.split()[-1] for entry in entries] == ["2001:db8:1:3::1", "10.1.2.3"]


NO_PASSKEYS = [
    '{"id": 1}',
    '{"id": "eA", "rawId": "eA", "type": "public-key"}',
    '{"id": "eA", "rawId": "eA", "type": "public-key", "response": {"userHandle": "MQ"}}',
    '{"id": "eA", "rawId": "eA", "type": "public-key", "response": {"userHandle": "MQ", "signature": "eA",'
    ' "authenticatorData": "eA", "clientDataJSON": "e30"}}',
]


def test_a_passkey_that_fits_nobody_is_in_the_journal(client, people):
    client.get("/accounts/login/passkey/", headers={"Accept": "application/json"})
    for credential in NO_PASSKEYS:
        assert client.post("/accounts/login/passkey/", {"credential": credential}).status_code == 302
    assert actions() == [("person.second_factor_failed", "somebody unknown")] * len(NO_PASSKEYS)
    for credential in ("", "{}", "7", "[[1]]", "[" * 100_000):
        assert client.post("/accounts/login/passkey/", {"credential": credential}).status_code == 302


def test_who_adds_no_passkey_is_told_so(client, people):
    log_in(client, "ops")
    client.post("/accounts/confirm/?next=/accounts/passkeys/add/", {"password": PASSWORD})
    client.get("/accounts/passkeys/add/")
    for credential in [*NO_PASSKEYS, "7", "[" * 100_000]:
        answer = client.post("/accounts/passkeys/add/", {"name": "n", "credential": credential})
        assert answer.status_code == 200
        assert re.search(r"no passkey that can be read|This code is not right", answer.content.decode())


def test_the_admin_has_no_way_of_its_own_to_change_a_password(client, people):
    client.force_login(people.admin)
    data = {"old_password": PASSWORD, "new_password1": "another good horse 8", "new_password2": "another good horse 8"}
    assert client.post("/admin/password_change/", data)["Location"] == "/accounts/password/"
    assert User.objects.get(username="admin").check_password(PASSWORD)


def test_one_address_asks_only_so_often(client, people):
    answers = {log_in(Client(), f"name{number}", "wrong").status_code for number in range(61)}
    assert 429 in answers
    assert log_in(Client(), "trader", REMOTE_ADDR="10.0.0.9").status_code == 302


def test_a_header_of_the_client_makes_no_other_address_of_it(client, people, settings):
    for number in range(5):
        log_in(client, "ops", "wrong", HTTP_X_FORWARDED_FOR=f"10.1.1.{number}")
    assert log_in(client, "ops", HTTP_X_FORWARDED_FOR="10.1.1.77").status_code == 429
    settings.TRUSTED_PROXIES = 1
    assert log_in(client, "ops", HTTP_X_FORWARDED_FOR="1.2.3.4, 10.1.1.77").status_code == 302
    assert "from 10.1.1.77" in AuditEntry.objects.get(action="person.logged_in").summary


def test_limits_hold_for_all_processes_together():
    cache.set("a", 1, 60)
    from signin.models import SharedCacheRow

    assert SharedCacheRow.objects.filter(cache_key__contains="a").exists()


def test_the_admin_has_no_door_of_its_own(client, people):
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/?next=/admin/")
    client.post("/admin/login/", {"username": "admin", "password": PASSWORD})
    assert "_auth_user_id" not in client.session
    client.force_login(people.trader)
    assert client.get("/admin/login/").status_code == 403


def test_passwords_are_long_uncommon_and_unlike_the_name(client, people):
    log_in(client, "trader")
    for bad in ("short horse", "password1234", "123456789012", "trader-trader"):
        answer = client.post("/accounts/password/", {"oldpassword": PASSWORD, "password1": bad, "password2": bad})
        assert answer.status_code == 200, bad
    good = "a fitting horse 99"
    answer = client.post("/accounts/password/", {"oldpassword": PASSWORD, "password1": good, "password2": good})
    assert answer.status_code == 302
    assert ("person.password_changed", "trader") in actions()
    assert log_in(Client(), "trader", good).status_code == 302
