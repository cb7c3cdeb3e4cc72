"""Cancels and replacements: recorded, sent once, settled by look-ups. kill -9 at each step, and every fault."""

import signal
from decimal import Decimal

import pytest
from django.utils import timezone

from broker.mapping import to_order
from orders.booking import import_order
from orders.change_sending import carry_out_changes, has_changes_to_carry_out
from orders.changing import SEND_WITHIN, record_change, symbols_under_way
from orders.due_work import queue_due_work
from orders.errors import AccountNotUsable, ChangeRefused
from orders.halting import halt_sending
from orders.models import Order, OrderChange
from tests.factories import make_account
from tests.orders.processes import end, start_module
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
POINTS = ("before_claim", "after_claim", "after_answer", "before_commit", "after_commit")


@pytest.fixture(autouse=True)
def quick(settings):
    settings.NOT_PLACED_AFTER_SECONDS = 0.5


@pytest.fixture
def resting(sim, sim_account):
    """A limit order to buy QCOM far below the market, in our books and at Alpaca."""
    raw = sim.manual_order(symbol="QCOM", side="buy", qty="10", type="limit", limit_price="1.00", time_in_force="gtc")
    raw = sim.wait_for_status(raw["client_order_id"], "new")
    return import_order(account=sim_account, facts=to_order(raw), origin="batch", now=timezone.now(), actor="test")


def want(order, **wanted):
    given = {"action": "replace", "wanted": wanted} if wanted else {"action": "cancel"}
    return record_change(
        account=order.account, broker_order_id=order.broker_order_id, symbol=order.symbol, wanted_for="fix:12",
        actor="ops", now=timezone.now(), **given,
    )  # fmt: skip


def carry_out(change, **options):
    carry_out_changes(account_id=change.account_id, now=timezone.now(), **options)
    change.refresh_from_db()
    return change.state


def settle(change):
    wait_for(lambda: carry_out(change) in {"done", "refused"}, "the end of the change")
    return change.state


def asked(sim):
    return [*sim.requests("DELETE"), *sim.requests("PATCH")]


def at_broker(sim, order):
    return sim.api("GET", f"/v2/orders/{order.broker_order_id}")


def test_a_cancel_is_sent_once_and_its_end_is_booked(sim, resting):
    change = want(resting)
    assert symbols_under_way(resting.account) == {"QCOM"}
    assert carry_out(change) == "done"
    assert (change.outcome, symbols_under_way(resting.account)) == ("Alpaca shows it canceled.", set())
    carry_out(change)
    assert len(asked(sim)) == 1
    resting.refresh_from_db()
    assert resting.status == "canceled"
    assert [event.text for event in resting.events.filter(kind="change")] == [
        "To be cancelled, wanted for fix:12.", "Alpaca is asked for it.", "Alpaca shows it canceled.",
    ]  # fmt: skip


def test_a_replacement_is_one_request_under_our_id_and_both_links_are_booked(sim, resting):
    change = want(resting, limit_price="1.25", qty="7")
    assert carry_out(change) == "done"
    [new] = Order.objects.exclude(pk=resting.pk)
    assert (new.client_order_id, new.replaces) == (change.client_order_id, resting.broker_order_id)
    assert new.client_order_id.startswith("ts-p-fix12-")
    assert (new.limit_price, new.qty, new.broker_order_id) == (Decimal("1.25"), Decimal(7), change.replaced_by)
    resting.refresh_from_db()
    assert (resting.status, resting.replaced_by) == ("replaced", new.broker_order_id)
    assert len(asked(sim)) == 1


def test_one_change_of_an_order_at_a_time_and_only_what_makes_sense(resting):
    want(resting)
    with pytest.raises(ChangeRefused, match="under way"):
        want(resting)
    with pytest.raises(ChangeRefused, match="new terms"):
        want(resting, side="sell")
    resting.account.is_active = False
    with pytest.raises(AccountNotUsable):
        want(resting)


@pytest.mark.parametrize("wanted", [{}, {"limit_price": "1.25"}])
@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("drop_answer", {}),
        ("status_after_accept", {"status": 504}),
        ("garbage", {}),
        ("status_after_accept", {"status": 422, "body": '{"code": 42210000, "message": "order is not open"}'}),
    ],
)
def test_lost_answer_is_looked_up_and_nothing_is_sent_again(sim, resting, wanted, fault, options):
    sim.fault(fault, "PATCH" if wanted else "DELETE", **options)
    assert settle(want(resting, **wanted)) == "done"
    assert len(asked(sim)) == 1
    assert at_broker(sim, resting)["status"] == ("replaced" if wanted else "canceled")


@pytest.mark.parametrize("wanted", [{}, {"limit_price": "1.25"}])
@pytest.mark.parametrize("status", [504, 500])
def test_what_never_arrived_is_refused_after_a_while_and_not_sent_again(sim, resting, wanted, status):
    sim.fault("status", "PATCH" if wanted else "DELETE", status=status)
    change = want(resting, **wanted)
    assert settle(change) == "refused"
    assert "unchanged at Alpaca" in change.outcome
    assert (len(asked(sim)), at_broker(sim, resting)["status"]) == (1, "new")


@pytest.mark.parametrize("wanted", [{}, {"limit_price": "1.25"}])
def test_too_many_requests_only_wait(sim, resting, wanted):
    sim.fault("status", "PATCH" if wanted else "DELETE", status=429)
    change = want(resting, **wanted)
    assert carry_out(change) == "recorded"
    assert not has_changes_to_carry_out(resting.account_id, timezone.now())
    OrderChange.objects.update(looked_up_at=None)
    assert settle(change) == "done"


def test_filled_before_it_was_sent_is_not_sent(sim, resting):
    change = want(resting)
    sim.act("fill", order_id=resting.broker_order_id)
    assert carry_out(change) == "refused"
    assert (change.outcome, asked(sim)) == ("The order is filled by now, so it cannot be cancelled.", [])


def test_partly_filled_meanwhile_is_not_replaced(sim, resting):
    change = want(resting, qty="20")
    sim.act("fill", order_id=resting.broker_order_id, qty="3")
    assert carry_out(change) == "refused"
    assert asked(sim) == []


@pytest.mark.parametrize("wanted", [{}, {"limit_price": "1.25"}])
def test_filled_while_the_request_was_on_its_way(sim, resting, wanted):
    sim.fault("delay_accept", "PATCH" if wanted else "DELETE", seconds=1.5)
    change = want(resting, **wanted)
    process = start_module(sim, "tests.orders.changer", str(resting.account_id))
    wait_for(lambda: OrderChange.objects.filter(state="sending").exists(), "the claim", seconds=60)
    sim.act("fill", order_id=resting.broker_order_id)
    assert end(process)[0] == 0
    assert settle(change) == "refused"
    word = "replaced" if wanted else "cancelled"
    assert change.outcome == f"Before it could be {word} it was filled."
    resting.refresh_from_db()
    assert resting.status == "filled"


def test_taken_and_then_rejected_replacement_leaves_the_old_order(sim, resting):
    sim.fault("reject_replacement", "PATCH")
    change = want(resting, limit_price="1.25")
    assert settle(change) == "refused"
    assert change.outcome == "Alpaca took the replacement and rejected it then; the old order is new."
    # Both are in the books as Alpaca shows them: nothing is left to reconcile.
    assert set(Order.objects.values_list("status", flat=True)) == {"new", "rejected"}


def test_refused_as_not_cancelable(sim, resting):
    body = '{"code": 42210000, "message": "order is not cancelable"}'
    sim.fault("status", "DELETE", status=422, body=body)
    change = want(resting)
    assert settle(change) == "refused"
    assert "order is not cancelable" in change.outcome
    assert len(asked(sim)) == 1


def test_unknown_order(sim, resting):
    change = want(resting)
    OrderChange.objects.update(broker_order_id="00000000-0000-0000-0000-000000000000")
    assert carry_out(change) == "refused"
    assert "does not know" in change.outcome


def test_kill_switch_holds_replacements_and_lets_cancels_pass(sim, resting):
    replacement = want(resting, limit_price="1.25")
    halt_sending(account=resting.account, actor="ops", reason="test", now=timezone.now())
    assert (carry_out(replacement), asked(sim)) == ("recorded", [])
    OrderChange.objects.all().delete()
    assert settle(want(resting)) == "done"


def test_old_wishes_are_not_sent(sim, resting):
    change = want(resting)
    OrderChange.objects.update(requested_at=timezone.now() - SEND_WITHIN)
    assert (carry_out(change), asked(sim)) == ("refused", [])


def test_broker_down_leaves_it_recorded(sim, resting):
    sim.fault("status", "GET", status=503, times=None)
    change = want(resting)
    assert (carry_out(change), asked(sim)) == ("recorded", [])
    sim.clear_faults()
    OrderChange.objects.update(looked_up_at=None)
    assert settle(change) == "done"


def test_the_worker_finds_it_in_the_rows(db):
    record_change(
        account=make_account(), broker_order_id="b1", symbol="QCOM", action="cancel", wanted_for="fix:1", actor="ops",
        now=timezone.now(),
    )  # fmt: skip
    assert [queue_due_work(timezone.now()) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("wanted", [{}, {"limit_price": "1.25"}])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at(sim, resting, wanted, point):
    change = want(resting, **wanted)
    process = start_module(sim, "tests.orders.changer", str(resting.account_id), CRASH_POINT=point)
    status, output = end(process)
    assert status == -signal.SIGKILL, output
    change.refresh_from_db()
    assert change.state not in {"done", "refused"}
    state = settle(change)
    # Killed between claim and request, nobody can know that it never left: it is not sent again, and says so.
    assert state == ("refused" if point == "after_claim" else "done")
    assert len(asked(sim)) == (0 if point == "after_claim" else 1)
    ended = "replaced" if wanted else "canceled"
    assert at_broker(sim, resting)["status"] == ("new" if point == "after_claim" else ended)
    resting.refresh_from_db()
    assert resting.status == at_broker(sim, resting)["status"]
