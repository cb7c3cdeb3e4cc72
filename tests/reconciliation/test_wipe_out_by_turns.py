"""A policy closes positions run after run, each time within the guard: together they are too many all the same."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker.models import Account
from positions.models import Position
from reconciliation.applying import apply_approved
from reconciliation.models import BackfillPolicy, Fix
from tests.reconciliation.steps import reconcile
from tests.reconciliation.test_wipe_out import HELD, account, sell  # noqa: F401  # a fixture
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


def test_policy_does_not_go_beyond_the_share_by_turns(account: Account, sim: SimAccount) -> None:  # noqa: F811
    BackfillPolicy.objects.create(
        account=account, mode="automatic", not_before_close_minutes=0, updated_at=timezone.now(), updated_by="admin"
    )
    sell(sim, *HELD[:2])
    reconcile(account)
    apply_approved(account=account, actor="system:worker")
    assert Position.objects.filter(account=account).open().count() == 4
    sell(sim, *HELD[2:4])
    reconcile(account)
    apply_approved(account=account, actor="system:worker")
    left = Fix.objects.filter(symbol__in=HELD[2:4])
    assert {fix.state for fix in left} == {Fix.State.PROPOSED}
    assert Position.objects.filter(account=account).open().count() == 4
    Fix.objects.update(applied_at=timezone.now() - timedelta(hours=2))  # another day's work is not counted
    reconcile(account)
    assert {fix.state for fix in left.all()} == {Fix.State.APPROVED}
