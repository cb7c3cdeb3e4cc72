"""Stop and target in pairs for more shares than are held: all are cancelled, then one pair is placed; or a stop is."""

import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account
from orders.chain_carrying import carry_chains
from orders.chain_models import PATIENCE, CancelFirst
from orders.models import Order, OrderChange
from orders.placing import send_protection
from orders.settling import settle_orders
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
    live,
    only_fix,
    orphaned,
    plan,
)  # fmt: skip
from tests.simulation import SimAccount, wait_for

__all__ = ["account"]
pytestmark = pytest.mark.django_db(transaction=True)

ONE = [("limit", "15", None), ("stop", "15", "92")]
REFUSED = '{"code": 40310000, "message": "not today"}'


def pair(number: int, *, target: str = "116", stop: str = "92") -> dict[str, Any]:
    leg = {
        "client_order_id": f"ts-stop-{number}", "side": "sell", "type": "stop", "stop_price": stop, "status": "held",
        "position_intent": "sell_to_close",
    }  # fmt: skip
    return {
        "client_order_id": f"ts-target-{number}", "order_class": "oco", "type": "limit", "limit_price": target,
        "stop_price": None, "legs": [leg],
    }  # fmt: skip


def bracket_sold_in_part() -> list[dict[str, Any]]:
    """Ten bought with exits for ten, and six of them sold elsewhere."""
    done = {"type": "market", "status": "filled", "filled_avg_price": "100", "stop_price": None}
    legs = [
        {"client_order_id": "ts-target", "type": "limit", "limit_price": "116", "status": "new"},
        {"client_order_id": "ts-stop", "type": "stop", "stop_price": "92", "status": "held"},
    ]
    entry = {"client_order_id": "ts-entry", "side": "buy", "order_class": "bracket", "legs": legs}
    return [
        {**done, **entry, "position_intent": "buy_to_open"},
        {**done, "client_order_id": "ts-sold", "qty": "6"},
    ]


@pytest.fixture
def two_pairs(account: Account, sim: SimAccount) -> Account:
    """15 shares, and two pairs for ten each: neither can go without leaving some unguarded."""
    orphaned(account, sim, position="15", orders=[pair(1), pair(2)])
    plan(account)
    reconcile(account)
    assert kinds(account) == {"double_protection": []}
    return account


def recorded(account: Account) -> Fix:
    fix = only_fix(account)
    approve_fixes(fixes=[fix], actor="keeper", now=timezone.now())
    fix.refresh_from_db()
    undo_plan = broker_actions.record_at_broker(fix=fix, now=timezone.now())
    Fix.objects.filter(pk=fix.pk).update(state=Fix.State.APPLIED, undo_plan=undo_plan)
    return fix


def go_on(account: Account) -> None:
    """What the workers do by sweeps."""
    settle_orders(account_id=account.pk, now=timezone.now())
    broker_actions.carry_out(account)
    carry_chains(account_id=account.pk, now=timezone.now())
    send_protection(account_id=account.pk, now=timezone.now())


def until(account: Account, done: Callable[[], bool], what: str) -> None:
    def look_again() -> bool:
        go_on(account)
        return done()

    wait_for(look_again, what, seconds=40)


def posted(sim: SimAccount) -> int:
    return len(sim.requests("POST", "/v2/orders"))


# --- Repaired -------------------------------------------------------------------------------------------------


def test_two_pairs_become_one(two_pairs: Account, sim: SimAccount) -> None:
    said = acts_in_words(only_fix(two_pairs))
    assert "cancel the 2 orders" in said
    assert "For a moment nothing guards the position" in said
    fix = assert_repaired_at_broker(two_pairs)
    assert live(sim) == ONE
    assert has_opposite(fix)
    assert (len(sim.requests("DELETE")), posted(sim)) == (2, 1)


def test_one_pair_for_more_than_is_held_becomes_smaller(account: Account, sim: SimAccount) -> None:
    orphaned(account, sim, position="4", orders=[pair(1)])
    assert_made_smaller(account, sim)


def test_so_do_the_legs_of_a_bracket(account: Account, sim: SimAccount) -> None:
    orphaned(account, sim, orders=bracket_sold_in_part())
    assert_made_smaller(account, sim)


def assert_made_smaller(account: Account, sim: SimAccount) -> None:
    reconcile(account)
    assert kinds(account) == {"stop_qty": []}
    assert_repaired_at_broker(account)
    assert live(sim) == [("limit", "4", None), ("stop", "4", "92")]
    assert len(sim.requests("DELETE")) == 1


def test_of_parts_of_a_share_the_whole_ones_are_guarded(account: Account, sim: SimAccount) -> None:
    orphaned(account, sim, position="4.5", orders=[pair(1)])
    reconcile(account)
    assert_repaired_at_broker(account)
    assert live(sim) == [("limit", "4", None), ("stop", "4", "92")]


def test_the_new_pair_is_at_the_levels_of_the_plan(account: Account, sim: SimAccount) -> None:
    orphaned(account, sim, position="15", orders=[pair(1), pair(2, stop="80", target="130")])
    reconcile(account)
    assert kinds(account) == {"double_protection": ["stop_price"]}
    assert_repaired_at_broker(account)
    assert live(sim) == ONE


@pytest.mark.parametrize("price", ["91", "117"], ids=["beyond the stop", "beyond the target"])
def test_none_is_cancelled_while_the_new_one_would_sell_at_once(
    account: Account, sim: SimAccount, price: str
) -> None:  # fmt: skip
    orphaned(account, sim, position="15", orders=[pair(1, target="130", stop="80"), pair(2, target="130", stop="80")])
    sim.price("QCOM", price)
    reconcile(account)
    assert "double_protection" in kinds(account)
    assert not Fix.objects.filter(acts_at_broker=True).exists()


# --- Refused --------------------------------------------------------------------------------------------------


def test_a_refused_pair_puts_a_stop_for_all_in_its_place(two_pairs: Account, sim: SimAccount) -> None:
    sim.fault("status", "POST", "/v2/orders", status=403, body=REFUSED)
    [fix] = act(two_pairs).fixes
    assert (fix.state, "not today" in fix.outcome) == (Fix.State.FAILED, True)
    wait_for(lambda: live(sim) == [("stop", "15", "92")], "a stop again")
    assert reconcile(two_pairs).state == Run.State.DRIFT
    assert kinds(two_pairs) == {"target_missing": []}
    assert_repaired_at_broker(two_pairs)
    assert live(sim) == ONE


def test_where_one_cancel_is_refused_a_stop_guards_what_the_other_freed(two_pairs: Account, sim: SimAccount) -> None:
    recorded(two_pairs)
    sim.fault("status", "DELETE", "/v2/orders", status=422, body='{"code": 42210000, "message": "not cancelable"}')
    until(two_pairs, lambda: ("stop", "5", "92") in live(sim), "a stop for the rest")
    assert live(sim) == [("limit", "10", None), ("stop", "10", "92"), ("stop", "5", "92")]
    assert (len(sim.requests("DELETE")), posted(sim)) == (2, 1)
    assert only_failed(two_pairs).outcome
    assert reconcile(two_pairs).state == Run.State.IN_SYNC, kinds(two_pairs)


def only_failed(account: Account) -> Fix:
    return Fix.objects.get(account=account, state=Fix.State.FAILED)


def test_proven_and_not_sent_in_time_puts_a_stop_in_its_place(two_pairs: Account, sim: SimAccount) -> None:
    recorded(two_pairs)
    carry_chains(account_id=two_pairs.pk, now=timezone.now())
    assert live(sim) == []
    CancelFirst.objects.update(proven_at=timezone.now() - PATIENCE - timedelta(seconds=1))
    until(two_pairs, lambda: live(sim) == [("stop", "15", "92")], "a stop again")
    assert posted(sim) == 1


# --- Killed ---------------------------------------------------------------------------------------------------


def kill(account: Account, sim: SimAccount, point: str, times: int = 1) -> None:
    for _ in range(times):
        status, output = end(start_module(sim, "tests.reconciliation.swapper", str(account.pk), CRASH_POINT=point))
        assert status == -signal.SIGKILL, output


@pytest.mark.parametrize(
    ("point", "times"),
    [
        ("chain_read", 1), ("chain_before_commit", 1), ("chain_begun", 1), ("before_claim", 1),
        ("after_answer", 1), ("before_commit", 1), ("after_commit", 1),
        ("after_answer", 2), ("after_commit", 2), ("chain_proving", 1), ("chain_proven", 1),
    ],
)  # fmt: skip
def test_killed_while_it_cancels(two_pairs: Account, sim: SimAccount, point: str, times: int) -> None:
    recorded(two_pairs)
    kill(two_pairs, sim, point, times)
    until(two_pairs, lambda: live(sim) == ONE, "the pair")
    assert (len(sim.requests("DELETE")), posted(sim)) == (2, 1)
    assert reconcile(two_pairs).state == Run.State.IN_SYNC, kinds(two_pairs)


def test_killed_before_one_cancel_left(two_pairs: Account, sim: SimAccount) -> None:
    """It is not known whether it left, and nothing is asked twice: what the other one freed gets a stop."""
    recorded(two_pairs)
    kill(two_pairs, sim, "after_claim")
    until(two_pairs, lambda: CancelFirst.objects.get().stop_again == "", "the end")
    until(two_pairs, lambda: not unsent(two_pairs), "the stop")
    covered = sum(int(qty) for kind, qty, _ in live(sim) if kind == "stop")
    assert covered >= 15, live(sim)
    assert len(sim.requests("DELETE")) <= 1
    assert OrderChange.objects.filter(state="refused").exists()


def unsent(account: Account) -> bool:
    return Order.objects.filter(account=account, submission_state__in=["recorded", "submitting"]).exists()


@pytest.mark.parametrize("point", ["before_claim", "after_answer", "before_commit", "after_commit"])
def test_killed_while_it_sends(two_pairs: Account, sim: SimAccount, point: str) -> None:
    recorded(two_pairs)
    carry_chains(account_id=two_pairs.pk, now=timezone.now())
    kill(two_pairs, sim, point)
    until(two_pairs, lambda: live(sim) == ONE, "the pair")
    assert (len(sim.requests("DELETE")), posted(sim)) == (2, 1)


@pytest.mark.parametrize(
    ("resend_within", "expected"), [(300, ONE), (0, [("stop", "15", "92")])], ids=["sent again", "too old for that"]
)
def test_killed_between_the_claim_and_the_sending(
    two_pairs: Account, sim: SimAccount, settings: Any, resend_within: int, expected: list[Any]
) -> None:
    """The pair did not come, and that is found out: it is sent under the same id, or the stop alone is placed."""
    settings.NOT_PLACED_AFTER_SECONDS, settings.NOT_PLACED_LOOKUPS = 0.5, 2
    settings.RESEND_WITHIN_SECONDS = resend_within
    recorded(two_pairs)
    carry_chains(account_id=two_pairs.pk, now=timezone.now())
    kill(two_pairs, sim, "after_claim")
    until(two_pairs, lambda: live(sim) == expected, "what guards it")
    assert (len(sim.requests("DELETE")), posted(sim)) == (2, 1)


def test_an_exit_that_came_before_it_is_sent_again_is_left_alone(
    two_pairs: Account, sim: SimAccount, settings: Any
) -> None:  # fmt: skip
    settings.NOT_PLACED_AFTER_SECONDS, settings.NOT_PLACED_LOOKUPS = 0.5, 2
    recorded(two_pairs)
    carry_chains(account_id=two_pairs.pk, now=timezone.now())
    kill(two_pairs, sim, "after_claim")
    exit_order(two_pairs, sim, qty="15")
    until(two_pairs, lambda: Order.objects.get(origin="protection").submission_state == "rejected", "the end")
    assert live(sim) == [("stop", "15", "92")]
    assert len(sim.requests("DELETE")) == 2
