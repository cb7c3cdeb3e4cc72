"""Codes of an app and recovery codes: set up, asked for, used once, removed; and what takes a second factor."""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from audit.models import AuditEntry
from tests.conftest import PASSWORD
from tests.signin.acts import may
from tests.signin.codes import code_for, log_in, log_in_with_code, second_step, set_up_codes

pytestmark = pytest.mark.django_db


def test_the_password_alone_is_half_a_log_in(client, codes):
    answer = log_in(client, "ops")
    assert answer["Location"] == "/accounts/login/second-factor/"
    assert client.get("/").status_code == 302
    assert "second factor" in client.get("/accounts/login/second-factor/").content.decode()
    assert second_step(client, "000000").status_code == 200
    assert client.get("/").status_code == 302
    assert second_step(client, code_for(codes["ops"])).status_code == 302
    assert client.get("/").status_code == 200
    said = AuditEntry.objects.filter(actor="ops").order_by("pk").values_list("action", flat=True)
    assert list(said)[-2:] == ["person.second_factor_failed", "person.logged_in"]


def test_a_code_works_once_in_whichever_process(codes):
    code = code_for(codes["ops"])
    first, second = Client(), Client()
    for client in (first, second):
        log_in(client, "ops")
    assert second_step(first, code).status_code == 302
    assert second_step(second, code).status_code == 200
    assert second.get("/").status_code == 302


def test_codes_are_not_guessed(client, codes):
    log_in(client, "ops")
    for _ in range(10):
        second_step(client, "000000")
    answer = second_step(client, code_for(codes["ops"]))
    assert "Too many attempts" in answer.content.decode()
    cache.clear()
    assert second_step(client, code_for(codes["ops"])).status_code == 302


def test_one_may_start_again_as_somebody_else(client, codes):
    log_in(client, "ops")
    assert client.get("/accounts/login/")["Location"] == "/accounts/login/second-factor/"
    client.post("/accounts/login/give-up/")
    assert log_in(client, "trader")["Location"] == "/"


def test_recovery_codes_are_shown_once_and_let_in_once(client, people):
    log_in(client, "ops")
    set_up_codes(client)
    page = client.get("/accounts/recovery-codes/").content.decode()
    shown = re.findall(r"<li>([\w-]+)</li>", page)
    assert len(shown) == 10
    assert not re.findall(r"<li>([\w-]+)</li>", client.get("/accounts/recovery-codes/").content.decode())
    other = Client()
    log_in(other, "ops")
    assert second_step(other, shown[0]).status_code == 302
    assert other.get("/").status_code == 200
    third = Client()
    log_in(third, "ops")
    assert second_step(third, shown[0]).status_code == 200


def test_secrets_are_stored_encrypted_and_never_told(codes, settings):
    row = Authenticator.objects.get(user__username="ops", type="totp")
    assert codes["ops"] not in str(row.data)
    assert not AuditEntry.objects.filter(summary__contains=codes["ops"]).exists()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another-key", [settings.SECRET_KEY]
    assert row.wrap().validate_code(code_for(codes["ops"]))


def test_changing_it_asks_for_the_password_first(client, people):
    log_in(client, "ops")
    for path in ("codes/", "recovery-codes/new/", "passkeys/add/"):
        assert client.get(f"/accounts/{path}")["Location"].startswith("/accounts/confirm/")
    secret = set_up_codes(client)
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 600
    session.save()
    assert client.post("/accounts/codes/remove/")["Location"].startswith("/accounts/confirm/")
    client.post("/accounts/confirm/code/", {"code": code_for(secret)})
    assert client.post("/accounts/codes/remove/").status_code == 302
    assert not Authenticator.objects.filter(user=people.ops).exists()
    said = set(AuditEntry.objects.filter(actor="ops").values_list("action", "summary"))
    assert any(row[0] == "person.second_factor_added" and "app for codes" in row[1] for row in said)
    assert any(row[0] == "person.second_factor_removed" and "app for codes" in row[1] for row in said)


def test_whoever_has_a_factor_confirms_with_it_and_not_with_the_password(client, codes, people):
    """A stolen session with a spied password must not be enough to put in a factor of the thief's."""
    client.force_login(people.ops)
    for answer in (
        client.get("/accounts/confirm/?next=/accounts/passkeys/add/"),
        client.post("/accounts/confirm/?next=/accounts/passkeys/add/", {"password": PASSWORD}),
    ):
        assert answer["Location"] == "/accounts/confirm/code/?next=%2Faccounts%2Fpasskeys%2Fadd%2F"
    assert client.get("/accounts/passkeys/add/")["Location"].startswith("/accounts/confirm/code/")
    assert "your password" not in client.get("/accounts/confirm/code/").content.decode()
    assert client.post("/accounts/codes/remove/").status_code == 302
    assert Authenticator.objects.filter(user=people.ops, type="totp").exists()


def test_approving_and_the_admin_take_a_second_factor(required, codes, people):
    only_password = Client()
    only_password.force_login(people.admin)
    assert {name for name, may_it in may(only_password).items() if may_it} == {"halt"}
    assert all(may(log_in_with_code("admin", codes["admin"])).values())


def test_without_the_switch_a_password_is_enough(people, client):
    client.force_login(people.admin)
    assert all(may(client).values())


def test_who_has_none_is_led_to_set_it_up_and_may_go_on_at_once(required, people, client):
    log_in(client, "admin")
    assert "second factor" in client.get("/").content.decode()
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain == [("/accounts/", 302)]
    assert "Set one up here" in answer.content.decode()
    set_up_codes(client)
    assert client.get("/admin/").status_code == 200
    assert all(may(client).values())


def test_who_has_one_but_did_not_show_it_is_asked_for_it(required, codes, people, client):
    client.force_login(people.ops)
    answer = client.post(reverse("resume"), {"reason": "x"})
    assert answer["Location"].startswith("/accounts/confirm/code/?next=")
    htmx = client.post(reverse("resume"), {"reason": "x"}, headers={"HX-Request": "true"})
    assert htmx["HX-Redirect"].startswith("/accounts/confirm/code/")
    client.post("/accounts/confirm/code/", {"code": code_for(codes["ops"])})
    assert client.post(reverse("resume"), {"reason": "x"})["Location"] == "/"


def test_a_superuser_is_no_way_around_it(required, client, db):
    root = User.objects.create_superuser("root", password=PASSWORD)
    client.force_login(root)
    assert not any(may_it for name, may_it in may(client).items() if name not in {"halt", "send"})
    upload = client.post(reverse("orders:batch-upload"), {})
    assert upload["Location"].startswith("/accounts/")


def test_removing_the_last_factor_ends_what_it_allowed(required, codes, people):
    client = log_in_with_code("ops", codes["ops"])
    assert may(client)["approve"]
    Authenticator.objects.filter(user=people.ops).delete()
    assert not may(client)["approve"]


def test_who_may_not_approve_at_all_is_told_so_and_not_led_to_set_up(required, people, client):
    client.force_login(people.trader)
    assert client.post(reverse("reconciliation:approve"), {}).status_code == 403
    assert "You only look for now" not in client.get("/").content.decode()


def test_the_one_who_approves_must_be_who_logged_in(required, codes, people):
    """A factor of one person says nothing in the session of another: logging in over it begins a new session."""
    client = log_in_with_code("ops", codes["ops"])
    client.force_login(people.admin)
    assert not may(client)["approve"]
