"""An account's protection plan is changed in the admin: its effect is shown first, and done as shown."""

from decimal import Decimal

import pytest
from django.urls import reverse

from audit.models import AuditEntry
from positions.models import Position
from positions.protecting import planned_steps
from positions.rebuilding import rebuild_position
from tests.factories import NOW, make_account, make_fill, make_order, minutes

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return make_account(environment="sim")


@pytest.fixture
def admin(client, people):
    client.force_login(people.admin)
    return client


def address(account):
    return reverse("admin:positions_protection_plan", args=[account.pk])


def held(account, symbol="QCOM", qty="10"):
    make_fill(account=account, symbol=symbol, qty=qty, at=minutes(-60))
    rebuild_position(account=account, symbol=symbol, now=NOW)
    return Position.objects.get(symbol=symbol)


def shown(admin, account, plan="oco", **more):
    return admin.post(address(account), {"plan": plan, **more})


def plan_of(account):
    account.refresh_from_db()
    return account.protection_plan


def test_the_account_s_page_leads_there_and_cannot_change_it_itself(admin, account):
    page = reverse("admin:broker_account_change", args=[account.pk])
    assert address(account) in admin.get(page).content.decode()
    fields = {
        "name": "Simulator", "is_active": "on", "max_order_notional": "1", "max_batch_notional": "1",
        "max_batch_orders": "1", "guard_share_pct": "30", "protection_plan": "oco",
    }  # fmt: skip
    assert admin.post(page, fields).status_code == 302
    assert plan_of(account) == "record_only"


def test_each_plan_is_explained(admin, account):
    text = admin.get(address(account)).content.decode()
    for word in ("sell nothing", "shown in the preview", "renewed when more fills come", "never changed"):
        assert word in text


def test_the_effect_is_shown_and_nothing_is_saved(admin, account):
    held(account)
    held(account, "NVDA", "0.4")
    page = shown(admin, account)
    text = page.content.decode()
    assert [effect.symbol for effect in page.context["effects"]] == ["NVDA", "QCOM"]
    assert "An OCO for 10: stop 92.00, target 116.00" in text
    assert "1 of them would get orders" in text
    assert "less than a share" in text
    assert (plan_of(account), AuditEntry.objects.filter(action="account.plan_changed").count()) == ("record_only", 0)


def test_it_is_saved_as_it_was_shown_with_its_history(admin, account):
    held(account)
    expected = shown(admin, account).context["expected"]
    assert shown(admin, account, _confirmed="1", expected=expected).status_code == 302
    assert plan_of(account) == "oco"
    entry = AuditEntry.objects.get(action="account.plan_changed")
    assert (entry.actor, entry.before, entry.after["protection_plan"]) == (
        "admin", {"protection_plan": "record_only"}, "oco"
    )  # fmt: skip
    assert [effect["symbol"] for effect in entry.after["effects"]] == ["QCOM"]
    assert "admin: Protection plan of sim" in admin.get(address(account)).content.decode()
    [(_position, decision)] = planned_steps(account, NOW)
    assert decision.wish is not None
    assert (decision.step, decision.wish.qty) == ("place", Decimal(10))


def test_positions_that_moved_since_are_shown_again(admin, account):
    held(account)
    expected = shown(admin, account).context["expected"]
    held(account, "NVDA")
    page = shown(admin, account, _confirmed="1", expected=expected)
    assert "have changed since they were shown" in page.content.decode()
    assert len(page.context["effects"]) == 2
    assert plan_of(account) == "record_only"


def test_live_money_wants_the_account_s_name_typed(admin):
    account = make_account("live", environment="live")
    page = shown(admin, account)
    assert "Type live to confirm" in page.content.decode()
    sent = {"_confirmed": "1", "expected": page.context["expected"]}
    assert "Nothing was saved" in shown(admin, account, **sent, typed_slug="sim").content.decode()
    assert plan_of(account) == "record_only"
    assert shown(admin, account, **sent, typed_slug="live").status_code == 302
    assert plan_of(account) == "oco"


def test_leaving_the_plan_leaves_what_is_live_at_alpaca(admin, account):
    position = held(account)
    account.protection_plan = "oco"
    account.save()
    make_order(
        account, side="sell", origin="protection", order_class="oco", order_type="limit",
        client_order_id=f"ts-p-position{position.pk}g1-abc",
    )  # fmt: skip
    [effect] = shown(admin, account, "record_only").context["effects"]
    assert (effect.text, effect.is_order) == ("Its OCO stays at Alpaca until it fills or a person cancels it", False)


def test_the_same_plan_again_is_no_change(admin, account):
    assert shown(admin, account, "record_only").url == address(account)
    assert not AuditEntry.objects.filter(action="account.plan_changed").exists()


def test_an_unknown_plan_is_refused(admin, account):
    assert "Select a valid choice" in shown(admin, account, "none").content.decode()


@pytest.mark.parametrize("who", ["trader", "ops"])
def test_nobody_else_may(client, people, account, who):
    client.force_login(getattr(people, who))
    assert shown(client, account, _confirmed="1").status_code in (302, 403)
    assert plan_of(account) == "record_only"
