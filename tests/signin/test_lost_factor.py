"""What an admin may do about a colleague's password and second factor, without becoming that colleague."""

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from audit.models import AuditEntry
from tests.conftest import PASSWORD
from tests.signin.acts import may
from tests.signin.codes import code_for, log_in, log_in_with_code, second_step

pytestmark = pytest.mark.django_db
CHOSEN = "chosen by the admin 9"


def test_an_admin_who_sets_a_password_cannot_approve_as_that_person(required, codes, people):
    admin = log_in_with_code("admin", codes["admin"])
    url = reverse("admin:auth_user_password_change", args=[people.ops.pk])
    password = "chosen by the admin 9"
    assert admin.post(url, {"password1": password, "password2": password, "usable_password": "true"}).status_code == 302
    thief = Client()
    assert log_in(thief, "ops", password)["Location"] == "/accounts/login/second-factor/"
    assert not may(thief)["approve"]
    assert AuditEntry.objects.filter(action="person.password_set", actor="admin").exists()


def test_an_admin_takes_a_lost_factor_off_a_colleague_and_never_off_themselves(required, codes, people):
    admin, ops = log_in_with_code("admin", codes["admin"]), log_in_with_code("ops", codes["ops"])
    url = reverse("admin:auth_user_second_factor", args=[people.ops.pk])
    assert "ops" in admin.get(url).content.decode()
    assert admin.post(url, {"reason": ""}).status_code == 200
    assert Authenticator.objects.filter(user=people.ops).exists()
    assert admin.post(url, {"reason": "Phone lost"}).status_code == 302
    assert not Authenticator.objects.filter(user=people.ops).exists()
    assert ops.get("/").status_code == 302
    entry = AuditEntry.objects.get(action="person.second_factor_taken_off")
    assert (entry.actor, entry.reason, entry.subject_id) == ("admin", "Phone lost", str(people.ops.pk))
    own = reverse("admin:auth_user_second_factor", args=[people.admin.pk])
    assert admin.post(own, {"reason": "Mine"}).status_code == 403
    assert Authenticator.objects.filter(user=people.admin).exists()


def take_off(admin: Client, person: User) -> None:
    admin.post(reverse("admin:auth_user_second_factor", args=[person.pk]), {"reason": "Phone lost"})


def set_password(admin: Client, person: User, password: str = CHOSEN) -> str:
    data = {"password1": password, "password2": password, "usable_password": "true"}
    admin.post(reverse("admin:auth_user_password_change", args=[person.pk]), data)
    return password


@pytest.mark.parametrize("first", [take_off, set_password])
def test_an_admin_gets_not_both_out_of_the_way_the_password_and_the_factor(required, codes, people, first):
    admin = log_in_with_code("admin", codes["admin"])
    for act in (take_off, set_password) if first is take_off else (set_password, take_off):
        act(admin, people.ops)
    thief = Client()
    log_in(thief, "ops", CHOSEN)
    has_factor = Authenticator.objects.filter(user=people.ops, type="totp").exists()
    knows_password = User.objects.get(username="ops").check_password(CHOSEN)
    assert (has_factor, knows_password) in {(True, True), (False, False)}
    assert not may(thief)["approve"]
    said = admin.get(reverse("admin:auth_user_change", args=[people.ops.pk])).content.decode()
    assert "on the computer itself" in said


def test_an_admin_gives_no_password_to_whoever_has_no_factor_yet(required, codes, people):
    log_in(Client(), "trader")
    admin = log_in_with_code("admin", codes["admin"])
    set_password(admin, people.trader)
    assert User.objects.get(username="trader").check_password(PASSWORD)
    newcomer = User.objects.create(username="newcomer")
    password = set_password(admin, newcomer)
    assert User.objects.get(username="newcomer").check_password(password)


def test_whose_password_an_admin_chose_chooses_their_own_before_approving(required, codes, people):
    admin = log_in_with_code("admin", codes["admin"])
    password = set_password(admin, people.ops)
    client = Client()
    log_in(client, "ops", password)
    second_step(client, code_for(codes["ops"]))
    assert "Choose a password of your own first" in client.get("/").content.decode()
    answer = client.post(reverse("resume"), {"reason": "x"}, follow=True)
    assert answer.redirect_chain == [("/accounts/password/", 302)]
    assert "An administrator chose your password." in answer.content.decode()
    own = "my own good horse 55"
    client.post("/accounts/password/", {"oldpassword": password, "password1": own, "password2": own})
    cache.clear()
    log_in(client, "ops", own)
    second_step(client, code_for(codes["ops"]))
    assert all(may(client)[name] for name in ("approve", "resume", "send"))
    take_off(admin, people.ops)
    assert not Authenticator.objects.filter(user=people.ops).exists()


def test_on_the_computer_itself_a_factor_is_taken_off_too(required, codes, people, capsys):
    call_command("take_off_second_factor", "admin", "--as", "admin", "--reason", "Phone lost")
    assert "Taken off admin: 2 factors." in capsys.readouterr().out
    assert not Authenticator.objects.filter(user=people.admin).exists()
    entry = AuditEntry.objects.get(action="person.second_factor_taken_off")
    assert (entry.actor, entry.reason) == ("admin", "Phone lost (on the computer)")
    for names in (("nobody", "admin"), ("ops", "nobody")):
        with pytest.raises(CommandError, match="There is no user 'nobody'"):
            call_command("take_off_second_factor", names[0], "--as", names[1], "--reason", "x")
