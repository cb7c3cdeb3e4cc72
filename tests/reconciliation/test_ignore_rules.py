"""A rule hides what it names, for its time, and nothing that is critical."""

from datetime import timedelta

import pytest
from django.db.models import ProtectedError
from django.utils import timezone

from broker.models import Account
from reconciliation.models import Drift, IgnoreRule, Run
from reconciliation.policies import hidden_by
from tests.reconciliation.steps import open_books, open_roots, placed, reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


def make_rule(account: Account, *, kind: str = "external_order", symbol: str = "", days: int = 3) -> IgnoreRule:
    now = timezone.now()
    return IgnoreRule.objects.create(
        account=account,
        kind=kind,
        symbol=symbol,
        reason="known",
        owner="admin",
        created_at=now,
        expires_at=now + timedelta(days=days),
    )


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    """One working order from outside: nothing critical follows from it."""
    open_books(sim_account)
    placed(sim, symbol="QCOM", type="limit", limit_price="1.00", wait="new")
    return sim_account


@pytest.mark.parametrize("symbol", ["", "QCOM"])
def test_rule_hides_and_counts_once(account: Account, symbol: str) -> None:
    rule = make_rule(account, symbol=symbol)
    for _ in range(2):
        assert reconcile(account).state == Run.State.IN_SYNC
    drift = Drift.objects.get()
    assert (drift.state, drift.ignored_by, drift.ignored_reason) == (Drift.State.IGNORED, "admin", "known")
    rule.refresh_from_db()
    assert rule.hidden_count == 1


@pytest.mark.parametrize("fields", [{"symbol": "NVDA"}, {"kind": "status_behind"}, {"days": -1}])
def test_rule_hides_nothing_else(account: Account, fields: dict[str, object]) -> None:
    make_rule(account, **fields)  # type: ignore[arg-type]
    assert reconcile(account).state == Run.State.DRIFT


def test_end_of_a_rule_brings_the_drift_back(account: Account) -> None:
    rule = make_rule(account)
    reconcile(account)
    IgnoreRule.objects.update(expires_at=timezone.now())
    assert reconcile(account).state == Run.State.DRIFT
    assert not open_roots(account)[0].ignored_reason
    IgnoreRule.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert reconcile(account).state == Run.State.IN_SYNC
    with pytest.raises(ProtectedError):
        rule.delete()


def test_what_becomes_critical_is_shown_again(account: Account, sim: SimAccount) -> None:
    """The order fills: now a position stands at Alpaca that the books do not know."""
    make_rule(account)
    assert reconcile(account).state == Run.State.IN_SYNC
    order = sim.api("GET", "/v2/orders")[0]
    sim.act("fill", order_id=order["id"], qty=order["qty"], price="1.00")
    assert reconcile(account).state == Run.State.DRIFT
    root = open_roots(account)[0]
    assert root.ignored_by_rule is None
    assert [c.kind for c in root.consequences.all()] == ["position_broker_only"]


def test_preview_names_what_would_be_hidden(account: Account) -> None:
    reconcile(account)
    found = open_roots(account)
    assert hidden_by(IgnoreRule(account=account, kind="external_order")) == found
    assert hidden_by(IgnoreRule(account=account, kind="external_order", symbol="NVDA")) == []
    assert hidden_by(IgnoreRule(account=account, kind="zombie_order")) == []
