"""An admin makes and moves people, and cannot make themselves or anybody else more than the groups give."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from audit.models import AuditEntry
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def change_url(user: User) -> str:
    return reverse("admin:auth_user_change", args=[user.pk])


def fields_of(user: User, **changes: Any) -> dict[str, Any]:
    fields = {
        "username": user.username,
        "first_name": "",
        "last_name": "",
        "email": "",
        "groups": list(user.groups.values_list("pk", flat=True)),
        "is_active": "on",
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture
def admin(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.admin)
    return client


def test_admin_gives_nobody_more_than_the_groups(admin: Client, people: SimpleNamespace) -> None:
    everything = list(Permission.objects.values_list("pk", flat=True))
    for person in (people.admin, people.trader):
        data = fields_of(person, is_superuser="on", is_staff="on", user_permissions=everything)
        assert admin.post(change_url(person), data).status_code == 302
        person = User.objects.get(pk=person.pk)
        assert not person.is_superuser
        assert not person.user_permissions.exists()
    assert not User.objects.get(username="trader").is_staff


def test_admin_does_not_touch_a_superuser_or_whoever_has_more(admin: Client, people: SimpleNamespace) -> None:
    root = User.objects.create_superuser("root", password=PASSWORD)
    people.ops.user_permissions.add(Permission.objects.get(codename="approve_broker_fix"))
    for person in (root, people.ops):
        assert admin.post(change_url(person), fields_of(person, is_active=None)).status_code == 403
        password = reverse("admin:auth_user_password_change", args=[person.pk])
        assert admin.get(password).status_code == 403
        assert User.objects.get(pk=person.pk).is_active


def test_admin_does_not_touch_whoever_has_a_group_beyond_the_three(admin: Client, people: SimpleNamespace) -> None:
    people.ops.groups.add(Group.objects.create(name="broker-fixers"))
    assert admin.post(change_url(people.ops), fields_of(people.ops, email="a@example.test")).status_code == 403
    assert people.ops.groups.count() == 2


def test_nobody_is_renamed(admin: Client, people: SimpleNamespace) -> None:
    """Under a new name the same person could approve what they requested."""
    admin.post(change_url(people.admin), fields_of(people.admin, username="admin2", first_name="Ada"))
    person = User.objects.get(pk=people.admin.pk)
    assert (person.username, person.first_name) == ("admin", "Ada")


def test_who_is_put_into_admin_may_enter_it_and_leaves_it_again(admin: Client, people: SimpleNamespace) -> None:
    group = people.admin.groups.get()
    admin.post(change_url(people.ops), fields_of(people.ops, groups=[group.pk]))
    assert User.objects.get(pk=people.ops.pk).is_staff
    admin.post(change_url(people.ops), fields_of(people.ops, groups=[]))
    assert not User.objects.get(pk=people.ops.pk).is_staff
    entry = AuditEntry.objects.filter(action="person.changed").first()
    assert entry is not None
    assert (entry.actor, entry.before["groups"], entry.after["groups"]) == ("admin", ["admin"], [])


@pytest.mark.parametrize("change", [{"is_active": None}, {"groups": []}])
def test_the_last_admin_stays(admin: Client, people: SimpleNamespace, change: dict[str, Any]) -> None:
    answer = admin.post(change_url(people.admin), fields_of(people.admin, **change))
    assert "last active person in the group admin" in answer.content.decode()
    person = User.objects.get(pk=people.admin.pk)
    assert person.is_active
    assert person.groups.filter(name="admin").exists()


def test_nobody_is_deleted(admin: Client, people: SimpleNamespace) -> None:
    assert admin.post(reverse("admin:auth_user_delete", args=[people.trader.pk]), {"post": "yes"}).status_code == 403
    root = User.objects.create_superuser("root", password=PASSWORD)
    admin.force_login(root)
    assert admin.post(reverse("admin:auth_user_delete", args=[people.trader.pk]), {"post": "yes"}).status_code == 403


def test_groups_are_looked_at_only(admin: Client, people: SimpleNamespace) -> None:
    page = reverse("admin:auth_group_change", args=[people.admin.groups.get().pk])
    assert admin.get(page).status_code == 200
    assert admin.post(page, {"name": "admin", "permissions": []}).status_code == 403
    assert people.admin.groups.get().permissions.exists()


def test_new_person_and_new_password_are_in_the_journal(admin: Client, people: SimpleNamespace) -> None:
    password = "a long enough pass phrase 17"
    data = {"username": "dana", "password1": password, "password2": password, "usable_password": "true"}
    assert admin.post(reverse("admin:auth_user_add"), data).status_code == 302
    dana = User.objects.get(username="dana")
    url = reverse("admin:auth_user_password_change", args=[dana.pk])
    data = {"password1": password + "x", "password2": password + "x", "usable_password": "true"}
    assert admin.post(url, data).status_code == 302
    acts = AuditEntry.objects.filter(subject_type="user", subject_id=str(dana.pk)).values_list("action", flat=True)
    assert sorted(acts) == ["person.added", "person.password_set"]
    assert not AuditEntry.objects.filter(summary__contains=password).exists()


@pytest.mark.parametrize("name", ["trader", "ops"])
def test_others_do_not_enter(client: Client, people: SimpleNamespace, name: str) -> None:
    client.force_login(getattr(people, name))
    assert client.get(reverse("admin:auth_user_changelist")).status_code == 302
