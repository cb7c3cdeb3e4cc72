"""A stop of ours holds the shares and the target is missing: the stop is replaced by an OCO, or placed again."""

import signal

import pytest
from django.utils import timezone

from broker.models import Account
from orders.chain_carrying import carry_chains
from orders.models import Order
from orders.placing import send_protection
from reconciliation import broker_actions
from reconciliation.approving import approve_fixes
from reconciliation.broker_wording import acts_in_words
from reconciliation.models import Fix, Run
from reconciliation.opposites import has_opposite
from tests.orders.processes import end, start_module
from tests.reconciliation.steps import kinds, reconcile
from tests.reconciliation.test_protection_kinds import (
    account,
    act,
    assert_repaired_at_broker,
    exit_order,
    held,
    live,
    only_fix,
    plan,
)  # fmt: skip
from tests.simulation import SimAccount, wait_for

__all__ = ["account", "held"]
pytestmark = pytest.mark.django_db(transaction=True)

PAIR = [("limit", "10", None), ("stop", "10", "92")]
STOP = [("stop", "10", "92")]


@pytest.fixture
def lone_stop(held: Account, sim: SimAccount) -> Account:
    exit_order(held, sim, client_order_id="ts-stop")
    plan(held)
    reconcile(held)
    assert kinds(held) == {"target_missing": []}
    return held


def test_the_stop_is_replaced_by_a_pair(lone_stop: Account, sim: SimAccount) -> None:
    said = acts_in_words(only_fix(lone_stop))
    assert "For a moment nothing guards the position" in said
    fix = assert_repaired_at_broker(lone_stop)
    assert live(sim) == PAIR
    assert has_opposite(fix)
    assert len(sim.requests("DELETE")) == 1


def test_a_refused_pair_puts_the_stop_back_at_once(lone_stop: Account, sim: SimAccount) -> None:
    sim.fault("status", "POST", "/v2/orders", status=403, body='{"code": 40310000, "message": "not today"}')
    [fix] = act(lone_stop).fixes
    assert fix.state == Fix.State.FAILED
    assert "not today" in fix.outcome
    wait_for(lambda: live(sim) == STOP, "the stop again")
    again = Order.objects.order_by("pk").last()
    assert again is not None
    assert again.client_order_id.startswith("ts-p-order")
    assert reconcile(lone_stop).state == Run.State.DRIFT
    assert kinds(lone_stop) == {"target_missing": []}


def test_what_was_not_shown_is_not_cancelled(lone_stop: Account, sim: SimAccount) -> None:
    """By the time that it is carried out the approved stop is gone, and somebody placed another."""
    fix = only_fix(lone_stop)
    approve_fixes(fixes=[fix], actor="keeper", now=timezone.now())
    broker_actions.record_at_broker(fix=Fix.objects.get(pk=fix.pk), now=timezone.now())
    sim.api("DELETE", f"/v2/orders/{fix.plan[0]['instead_of'][0]['broker_order_id']}")
    sim.wait_for_status("ts-stop", "canceled")
    exit_order(lone_stop, sim)
    carry_chains(account_id=lone_stop.pk, now=timezone.now())
    pair = Order.objects.get(client_order_id__startswith="ts-p-fix")
    assert pair.submission_state == "denied"
    assert "Other exits are open" in pair.refusal
    assert live(sim) == STOP
    assert sim.requests("DELETE")[1:] == []


@pytest.mark.parametrize("point", ["chain_read", "chain_before_commit", "chain_begun", "chain_proving", "chain_proven"])
def test_killed_at(lone_stop: Account, sim: SimAccount, point: str) -> None:
    fix = only_fix(lone_stop)
    approve_fixes(fixes=[fix], actor="keeper", now=timezone.now())
    broker_actions.record_at_broker(fix=Fix.objects.get(pk=fix.pk), now=timezone.now())
    status, output = end(start_module(sim, "tests.orders.chainer", str(lone_stop.pk), CRASH_POINT=point))
    assert status == -signal.SIGKILL, output

    def go_on() -> bool:
        carry_chains(account_id=lone_stop.pk, now=timezone.now())
        send_protection(account_id=lone_stop.pk, now=timezone.now())
        return live(sim) == PAIR

    wait_for(go_on, "the pair", seconds=20)
    assert len(sim.requests("DELETE")) == 1
