"""Confirm before judging: two readings that agree, a rest between them, and a look-up by id."""

from typing import Any

import pytest

from broker.models import Account
from orders.models import Order
from reconciliation.models import Drift, Fix, Run
from reconciliation.running import MOST_READINGS
from tests.reconciliation.steps import backfill_all, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    """Books with a position that Alpaca has too, and one order that is missing here."""
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1"))
    assert reconcile(sim_account).state == Run.State.IN_SYNC
    placed(sim, client_order_id="ts-2", symbol="NVDA")
    return sim_account


LISTS_IN_A_READING = 3


def test_what_only_one_of_two_readings_shows_is_not_judged(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new"))
    sim.fault("unknown_status", "GET", "/v2/orders", times=1, after=1, status="frobbed")
    run = reconcile(sim_account)
    assert run.state == Run.State.IN_SYNC
    assert not Drift.objects.exists()
    # The first reading saw it, so that a second one was made.
    assert len(sim.requests("GET", "/v2/positions")) == 2


def test_account_that_never_rests_is_not_judged(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new"))
    for number in range(MOST_READINGS):
        after = number * LISTS_IN_A_READING + 1
        sim.fault("unknown_status", "GET", "/v2/orders", times=1, after=after, status=f"word-{number}")
    run = reconcile(sim_account)
    assert run.state == Run.State.INCOMPLETE
    assert "moving" in run.incomplete_reason
    assert not Fix.objects.exists()


def test_quiet_period_lies_between_the_readings_of_a_drift(
    account: Account, sim: SimAccount, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one reading shows is judged only after a rest and a second one; where nothing differs nobody waits."""
    settings.QUIET_PERIOD_SECONDS = 7
    rests: list[float] = []
    monkeypatch.setattr("reconciliation.running.time.sleep", rests.append)
    assert reconcile(account).state == Run.State.DRIFT
    assert rests == [7]
    backfill_all(account)
    rests.clear()
    assert reconcile(account).state == Run.State.IN_SYNC
    assert rests == []


def test_order_that_a_list_leaves_out_is_asked_for_by_its_id(sim_account: Account, sim: SimAccount) -> None:
    """Absent from every list it is not called missing before it was asked for by name, in both readings."""
    open_books(sim_account)
    order = record_as(
        sim_account, sim, placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    )
    assert reconcile(sim_account).state == Run.State.IN_SYNC
    gone = "00000000-0000-4000-8000-000000000001"
    Order.objects.filter(pk=order.pk).update(broker_order_id=gone, client_order_id="ts-0")
    reconcile(sim_account)
    assert len(sim.requests("GET", f"/v2/orders/{gone}")) == 2
    assert Drift.objects.filter(kind="order_missing_at_broker").exists()
