"""Policies and ignore rules in the admin: shown first, saved when confirmed, journaled."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from reconciliation.models import BackfillPolicy, Drift, Fix, IgnoreRule, Run
from ui.formatting import NEW_YORK

pytestmark = pytest.mark.django_db
POLICIES, RULES = "admin:reconciliation_backfillpolicy", "admin:reconciliation_ignorerule"


@pytest.fixture
def account() -> Account:
    return Account.objects.create(slug="sim", name="Sim")


@pytest.fixture
def admin(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.admin)
    return client


@pytest.fixture
def drift(account: Account) -> Callable[..., Drift]:
    """Makes an open cause with a proposed fix."""

    def make(kind: str, *, symbol: str = "QCOM", severity: str = "high", is_safe_copy: bool = True) -> Drift:
        now = timezone.now()
        run = Run.objects.create(account=account, trigger="demand", requested_by="test", requested_at=now)
        key = f"{kind}:{symbol}"
        common: dict[str, Any] = {"account": account, "key": key, "symbol": symbol}
        sides: dict[str, Any] = {"before": {}, "broker": {}, "after": {}, "plan": []}
        fix = Fix.objects.create(
            **common, **sides, run=run, is_safe_copy=is_safe_copy, title=f"Copy {key}", fingerprint="f", proposed_at=now
        )
        return Drift.objects.create(
            **common, kind=kind, group="identity", severity=severity, sentence=f"{key} differs.", dollars="100",
            local={}, broker={}, fix=fix, first_run=run, last_run=run, first_seen_at=now, last_seen_at=now,
        )  # fmt: skip

    return make


def post(client: Client, page: str, **data: Any) -> HttpResponse:
    answer: HttpResponse = client.post(reverse(f"{page}_add"), data)  # type: ignore[assignment]
    return answer


def policy_fields(account: Account, **changes: Any) -> dict[str, Any]:
    windows = {"not_before_close_minutes": "10", "window_from": "", "window_until": ""}
    return {"account": account.pk, "kind": "", "mode": "automatic", "max_dollars": ""} | windows | changes


def rule_fields(account: Account, **changes: Any) -> dict[str, Any]:
    end = (timezone.now() + timedelta(days=7)).astimezone(NEW_YORK)
    return {
        "account": account.pk,
        "kind": "external_order",
        "symbol": "qcom",
        "reason": "hand trade",
        "expires_at_0": f"{end:%Y-%m-%d}",
        "expires_at_1": f"{end:%H:%M:%S}",
    } | changes


def test_policy_is_shown_first_and_saved_when_confirmed(
    admin: Client, account: Account, drift: Callable[..., Drift]
) -> None:
    fix = drift("missing_fill").fix
    drift("external_order", is_safe_copy=False)
    assert fix is not None
    page = post(admin, POLICIES, **policy_fields(account)).content.decode()
    line = f"Fix {fix.pk}: Copy missing_fill:QCOM"
    assert line in page
    assert "external_order:QCOM" not in page
    assert not BackfillPolicy.objects.exists()
    answer = post(admin, POLICIES, **policy_fields(account), _confirmed="on", expected=[line])
    assert answer.status_code == 302
    assert BackfillPolicy.objects.get().updated_by == "admin"
    assert AuditEntry.objects.get(action="policy.added").after["mode"] == "automatic"


def test_policy_is_shown_again_if_it_would_do_something_else(
    admin: Client, account: Account, drift: Callable[..., Drift]
) -> None:
    drift("missing_fill")
    page = post(admin, POLICIES, **policy_fields(account), _confirmed="on").content.decode()
    assert "Nothing was saved: look again" in page
    assert not BackfillPolicy.objects.exists()


def test_preview_says_when_the_policy_applies_nothing(
    admin: Client, account: Account, drift: Callable[..., Drift]
) -> None:
    drift("missing_fill")
    wall = timezone.now().astimezone(NEW_YORK)
    window = {"window_from": f"{wall + timedelta(hours=1):%H:%M}", "window_until": f"{wall + timedelta(hours=2):%H:%M}"}
    page = post(admin, POLICIES, **policy_fields(account, **window)).content.decode()
    assert "At this moment it would apply nothing." in page
    assert f"from {window['window_from']} to {window['window_until']} New York time only" in page
    assert "Copy missing_fill" not in page
    page = post(admin, POLICIES, **policy_fields(account, mode="two_people", **window)).content.decode()
    assert "a person who approves is asked for a reason" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "phantom_fill"}, "so a person must look"),
        ({"max_dollars": "0"}, "More than 0 dollars"),
        ({"mode": "propose", "max_dollars": "5"}, "belongs to automatic only"),
        ({"window_from": "10:00", "window_until": "10:00"}, "never opens"),
        ({"window_from": "noon"}, "Enter a valid time"),
    ],
)
def test_policy_that_makes_no_sense_is_refused_with_the_reason(
    admin: Client, account: Account, changes: dict[str, str], words: str
) -> None:
    assert words in post(admin, POLICIES, **policy_fields(account, **changes)).content.decode()


def test_second_policy_for_one_kind_is_refused(admin: Client, account: Account) -> None:
    now = timezone.now()
    BackfillPolicy.objects.create(account=account, mode="propose", updated_at=now, updated_by="x")
    assert "already exists" in post(admin, POLICIES, **policy_fields(account)).content.decode()


def test_removal_of_a_policy_is_journaled(admin: Client, account: Account) -> None:
    policy = BackfillPolicy.objects.create(
        account=account, mode="automatic", updated_at=timezone.now(), updated_by="admin"
    )
    admin.post(reverse(f"{POLICIES}_delete", args=[policy.pk]), {"post": "yes"})
    assert not BackfillPolicy.objects.exists()
    assert AuditEntry.objects.filter(action="policy.removed").count() == 1


def test_rule_is_shown_first_and_saved_when_confirmed(
    admin: Client, account: Account, drift: Callable[..., Drift]
) -> None:
    found = drift("external_order", severity="medium")
    drift("external_order", symbol="NVDA", severity="medium")
    page = post(admin, RULES, **rule_fields(account)).content.decode()
    line = f"Difference {found.pk}: external_order:QCOM differs."
    assert line in page
    assert "NVDA" not in page
    assert post(admin, RULES, **rule_fields(account), _confirmed="on", expected=[line]).status_code == 302
    rule = IgnoreRule.objects.get()
    assert (rule.owner, rule.symbol) == ("admin", "QCOM")
    assert AuditEntry.objects.get(action="ignore_rule.added").reason == "hand trade"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "zombie_order"}, "Select a valid choice"),
        ({"kind": "incomplete_read"}, "Select a valid choice"),
        ({"expires_at_0": "2020-01-01"}, "lies in the past"),
        ({"expires_at_0": "2199-01-01"}, "At most a year ahead"),
        ({"reason": ""}, "This field is required"),
    ],
)
def test_rule_that_hides_too_much_is_refused(
    admin: Client, account: Account, changes: dict[str, str], words: str
) -> None:
    assert words in post(admin, RULES, **rule_fields(account, **changes)).content.decode()


def test_rule_is_ended_not_deleted(admin: Client, account: Account) -> None:
    now = timezone.now()
    rule = IgnoreRule.objects.create(
        account=account,
        kind="external_order",
        reason="r",
        owner="x",
        created_at=now,
        expires_at=now + timedelta(days=1),
    )
    assert admin.post(reverse(f"{RULES}_delete", args=[rule.pk]), {"post": "yes"}).status_code == 403
    admin.post(reverse(f"{RULES}_changelist"), {"action": "end_now", "_selected_action": [rule.pk]})
    rule.refresh_from_db()
    assert rule.expires_at <= timezone.now()
    assert AuditEntry.objects.get(action="ignore_rule.ended").actor == "admin"


@pytest.mark.parametrize("page", [POLICIES, RULES])
def test_only_admins_may(client: Client, people: SimpleNamespace, page: str) -> None:
    User.objects.filter(username="ops").update(is_staff=True)
    client.force_login(User.objects.get(username="ops"))
    assert client.get(reverse(f"{page}_add")).status_code == 403
    assert client.get(reverse(f"{page}_changelist")).status_code == 200
