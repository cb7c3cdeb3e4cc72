"""The figures on the pages: fresh while Alpaca answers, and it is noted since when it does not."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from broker.models import Account, AccountSnapshot
from reconciliation.due_work import queue_due_work
from reconciliation.refreshing import refresh_account
from reconciliation.tasks import refresh_account_task
from tests.simulation import SimAccount
from work.models import Lease

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def test_the_first_failure_says_since_when_and_the_last_says_why(sim_account: Account, sim: SimAccount) -> None:
    sim.fault("status", path="/v2/account", status=503, times=None)
    assert refresh_account(account=sim_account, now=NOW).startswith("not refreshed: Alpaca")
    sim.clear_faults()
    sim.fault("status", path="/v2/account", status=401, times=None)
    refresh_account(account=sim_account, now=NOW + timedelta(minutes=1))
    sim_account.refresh_from_db()
    assert sim_account.unread_since == NOW
    assert not sim_account.is_silent
    assert "key" in sim_account.unread_reason
    assert not AccountSnapshot.objects.exists()


def test_silence_is_told_from_a_refusal(sim_account: Account, sim: SimAccount) -> None:
    sim.fault("status", path="/v2/positions", status=500, times=None)
    refresh_account(account=sim_account, now=NOW)
    sim_account.refresh_from_db()
    assert sim_account.is_silent


def test_an_answer_ends_the_note(sim_account: Account) -> None:
    Account.objects.update(unread_since=NOW, unread_reason="No connection", is_silent=True)
    assert refresh_account(account=sim_account, now=NOW) == "refreshed"
    sim_account.refresh_from_db()
    assert (sim_account.unread_since, sim_account.unread_reason, sim_account.is_silent) == (None, "", False)


def test_another_account_behind_the_keys_is_no_silence(sim_account: Account) -> None:
    Account.objects.update(broker_account_id="somebody-else")
    sim_account.refresh_from_db()
    assert refresh_account(account=sim_account, now=NOW) == "not refreshed: The keys open another account."
    sim_account.refresh_from_db()
    assert sim_account.unread_since == NOW
    assert not sim_account.is_silent


def is_queued() -> bool:
    queue_due_work(timezone.now())
    return any(row.func() == "reconciliation.tasks.refresh_account_task" for row in OrmQ.objects.all())


def test_what_could_not_be_read_is_not_asked_for_again_at_once(sim_account: Account, sim: SimAccount) -> None:
    sim.fault("status", path="/v2/account", status=401, times=None)
    assert is_queued()
    OrmQ.objects.all().delete()
    assert refresh_account_task(sim_account.pk).startswith("not refreshed")
    assert not is_queued()
    Lease.objects.filter(name=f"queued:refresh:{sim_account.pk}").update(expires_at=timezone.now())
    assert is_queued()
