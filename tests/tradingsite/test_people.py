"""The three groups: each may do what it must, and no more."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ImproperlyConfigured

from tests.conftest import PASSWORD
from tradingsite.people import ensure_groups, ensure_person

ACTS = {
    "reconciliation.start_run",
    "reconciliation.approve_fix",
    "reconciliation.ignore_drift",
    "orders.submit_batch",
    "orders.halt_batch",
    "broker.halt_sending",
}
RULES = {
    "positions.change_riskparameters",
    "positions.add_riskparameters",
    "broker.change_account",
    "auth.add_user",
    "reconciliation.add_backfillpolicy",
    "reconciliation.change_ignorerule",
}


def test_everybody_sees_everything(people: SimpleNamespace) -> None:
    for person in (people.trader, people.ops, people.admin):
        assert person.has_perms(["orders.view_order", "positions.view_position", "reconciliation.view_drift"])
        assert person.has_perms(["audit.view_auditentry", "broker.view_account"])


def test_a_trader_only_looks(people: SimpleNamespace) -> None:
    granted = people.trader.get_all_permissions()
    assert all(name.partition(".")[2].startswith("view_") for name in granted)


def test_ops_act_and_admins_also_rule(people: SimpleNamespace) -> None:
    assert people.ops.has_perms(ACTS)
    assert not any(people.ops.has_perm(name) for name in RULES)
    assert people.admin.has_perms(ACTS | RULES)
    assert not people.admin.has_perm("auth.change_group")
    assert (people.trader.is_staff, people.ops.is_staff, people.admin.is_staff) == (False, False, True)


def test_nobody_may_act_at_the_broker_by_a_group(people: SimpleNamespace) -> None:
    assert not any(p.has_perm("reconciliation.approve_broker_fix") for p in vars(people).values())


def test_who_is_put_into_the_group_broker_may_act_there_and_nothing_else(people: SimpleNamespace) -> None:
    assert not Group.objects.get(name="broker").user_set.exists()
    ensure_person(username="trader", group="broker")
    trader = User.objects.get(username="trader")
    acts = {name for name in trader.get_all_permissions() if not name.partition(".")[2].startswith("view_")}
    assert acts == {"reconciliation.approve_fix", "reconciliation.approve_broker_fix"}


def test_nobody_may_edit_the_record(people: SimpleNamespace) -> None:
    for person in vars(people).values():
        for label in ("orders.change_order", "orders.delete_fill", "positions.change_position", "audit.add_auditentry"):
            assert not person.has_perm(label)


def test_it_may_run_again(people: SimpleNamespace) -> None:
    extra = Permission.objects.get(codename="approve_broker_fix")
    Group.objects.get(name="ops").permissions.add(extra)
    before = {group.name: set(group.permissions.all()) for group in Group.objects.all()}
    ensure_groups()
    again = ensure_person(username="ops", group="ops")
    assert {group.name: set(group.permissions.all()) for group in Group.objects.all()} == before
    assert User.objects.count() == 3
    assert again.check_password(PASSWORD)


def test_a_person_without_a_password_cannot_log_in(db: None) -> None:
    assert not ensure_person(username="new", group="trader").has_usable_password()


def test_missing_permissions_are_named(db: None) -> None:
    Permission.objects.filter(codename="halt_sending").delete()
    with pytest.raises(ImproperlyConfigured, match=r"broker\.halt_sending"):
        ensure_groups()
