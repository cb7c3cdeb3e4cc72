"""A time that a policy bars: what was approved before it and comes to be applied in it is not."""

from datetime import time

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from broker.times import NEW_YORK
from orders.models import Order
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.models import BackfillPolicy, Fix
from tests.reconciliation.steps import open_books, placed, reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


def barred_now(account: Account) -> BackfillPolicy:
    """A window of an hour, twelve hours away."""
    hour = (timezone.now().astimezone(NEW_YORK).hour + 12) % 24
    return BackfillPolicy.objects.create(
        account=account, mode="propose", window_from=time(hour), window_until=time((hour + 1) % 24),
        updated_at=timezone.now(), updated_by="admin",
    )  # fmt: skip


def test_an_approval_does_not_outlive_the_window(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1")
    reconcile(sim_account)
    fix = Fix.objects.get()
    approve_fixes(fixes=[fix], actor="ops", now=timezone.now())
    barred_now(sim_account)  # the worker was away until the window had ended
    apply_approved(account=sim_account, actor="system:worker")
    fix.refresh_from_db()
    assert (fix.state, Order.objects.count()) == (Fix.State.PROPOSED, 0)
    assert "New York time only. The approval lapsed." in fix.outcome
    assert AuditEntry.objects.filter(action="fix.approval_lapsed").count() == 1
    approve_fixes(fixes=[fix], actor="ops", now=timezone.now(), override_reason="it cannot wait")
    assert apply_approved(account=sim_account, actor="ops").all_verified
