"""Accounts in the admin."""

from types import SimpleNamespace

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import AuditEntry
from broker.models import Account


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(
        slug="sim", name="Simulator", environment="sim", broker_account_id="abc-1", broker_account_number="PA1"
    )


@pytest.fixture
def admin(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.admin)
    return client


def page(account: Account) -> str:
    return reverse("admin:broker_account_change", args=[account.pk])


def test_an_admin_changes_name_and_limits(admin: Client, account: Account) -> None:
    shown = admin.get(page(account)).content.decode()
    assert "abc-1" in shown
    assert "ALPACA_API_KEY" in shown
    fields = {
        "name": "The simulator", "is_active": "on", "notice": "", "max_order_notional": "12345.67",
        "max_batch_notional": "99999", "max_batch_orders": "7", "guard_share_pct": "45",
    }  # fmt: skip
    assert admin.post(page(account), fields).status_code == 302
    account.refresh_from_db()
    assert (account.name, str(account.max_order_notional), account.max_batch_orders) == ("The simulator", "12345.67", 7)
    entry = AuditEntry.objects.get(action="account.changed")
    assert account.guard_share_pct == 45
    assert (entry.actor, entry.account) == ("admin", "sim")
    assert (entry.before["max_order_notional"], entry.after["max_order_notional"]) == ("50000", "12345.67")


def test_identity_money_and_kill_switch_cannot_be_edited(admin: Client, account: Account) -> None:
    fields = {
        "name": "Simulator", "is_active": "on", "max_order_notional": "1", "max_batch_notional": "1",
        "max_batch_orders": "1", "guard_share_pct": "30", "slug": "other", "environment": "live",
        "broker_account_id": "stolen", "sending_halted": "on",
    }  # fmt: skip
    admin.post(page(account), fields)
    account.refresh_from_db()
    assert (account.slug, account.environment, account.broker_account_id) == ("sim", "sim", "abc-1")
    assert not account.sending_halted


def test_nobody_deletes_an_account(client: Client, admin_user: object, account: Account) -> None:
    client.force_login(admin_user)  # type: ignore[arg-type]
    assert client.post(reverse("admin:broker_account_delete", args=[account.pk])).status_code == 403
    assert Account.objects.exists()


def test_a_superuser_adds_an_account(client: Client, admin_user: object, db: None) -> None:
    client.force_login(admin_user)  # type: ignore[arg-type]
    assert client.get(reverse("admin:broker_account_add")).status_code == 200
    fields = {
        "name": "Swing", "slug": "swing", "environment": "paper", "is_active": "on", "max_order_notional": "1",
        "max_batch_notional": "1", "max_batch_orders": "1", "guard_share_pct": "30",
    }  # fmt: skip
    assert client.post(reverse("admin:broker_account_add"), fields).status_code == 302
    assert Account.objects.get().environment == "paper"


@pytest.mark.parametrize("name", ["trader", "ops"])
def test_others_have_no_admin(client: Client, people: SimpleNamespace, account: Account, name: str) -> None:
    client.force_login(getattr(people, name))
    assert client.get(page(account)).status_code == 302
