"""Protective orders: recorded without a batch, looked at once more, sent once, followed like any other."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from orders.due_work import queue_due_work
from orders.errors import AccountNotUsable, ProtectionRefused
from orders.following import follow_orders
from orders.halting import halt_sending, resume_sending
from orders.models import Order
from orders.placing import send_protection
from orders.protecting import record_protection
from orders.settling import settle_orders
from tests.factories import make_account
from tests.orders.conftest import orders_at_broker, posts
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def protect(account, **given):
    wanted = {
        "symbol": "QCOM", "side": "sell", "qty": Decimal(10), "stop_price": Decimal("90.00"),
        "target_price": Decimal("150.00"), "wanted_for": "fix:12", "actor": "ops", "now": timezone.now(),
    }  # fmt: skip
    return record_protection(account=account, **{**wanted, **given})


def send(account):
    send_protection(account_id=account.pk, now=timezone.now())


@pytest.fixture
def held(sim, sim_account):
    """10 QCOM at 100 dollars, held at Alpaca."""
    sim.price("QCOM", "100")
    order = sim.manual_order(symbol="QCOM", side="buy", qty="10")
    sim.wait_for_status(order["client_order_id"], "filled")
    return sim_account


def sent(sim):
    return [row for row in orders_at_broker(sim) if row["client_order_id"].startswith("ts-p-fix12-")]


def test_stop_and_target_are_one_oco_sent_once_and_its_leg_is_booked(sim, held):
    order = protect(held)
    assert (order.origin, order.batch, order.submission_state) == ("protection", None, "recorded")
    send(held)
    send(held)
    order.refresh_from_db()
    assert (order.submission_state, order.send_count) == ("confirmed", 1)
    [theirs] = sent(sim)
    assert (theirs["order_class"], theirs["time_in_force"], theirs["limit_price"]) == ("oco", "gtc", "150")
    leg = Order.objects.exclude(pk=order.pk).get()
    assert (leg.order_type, leg.stop_price, leg.status, leg.origin) == ("stop", Decimal(90), "held", "protection")


def test_without_a_target_it_is_the_stop_alone(sim, held):
    protect(held, target_price=None)
    send(held)
    [theirs] = sent(sim)
    assert (theirs["type"], theirs["order_class"], theirs["stop_price"]) == ("stop", "", "90")


def test_a_fraction_of_a_share_gets_a_day_stop(sim, held):
    protect(held, qty=Decimal("9.5"))
    send(held)
    [theirs] = sent(sim)
    assert (theirs["type"], theirs["time_in_force"], theirs["qty"]) == ("stop", "day", "9.5")


def test_a_triggered_stop_is_followed_to_its_fills(sim, held):
    protect(held, target_price=None)
    send(held)
    sim.price("QCOM", "89")
    client_order_id = Order.objects.get().client_order_id
    sim.wait_for_status(client_order_id, "filled")

    def booked():
        Order.objects.update(followed_at=None)
        follow_orders(account_id=held.pk, now=timezone.now())
        return Order.objects.get().is_booked

    wait_for(booked, "the fill")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"target_price": Decimal(80)}, "lies above its stop"),
        ({"side": "buy"}, "lies below its stop"),
        ({"qty": Decimal(0)}, "nothing to protect"),
        ({"stop_price": Decimal(0)}, "above zero"),
        ({"side": "hold"}, "neither"),
    ],
)
def test_levels_that_make_no_sense_are_refused(db, given, said):
    with pytest.raises(ProtectionRefused, match=said):
        protect(make_account(), **given)
    assert not Order.objects.exists()


def test_one_at_a_time_and_none_for_an_account_that_is_off(db):
    account = make_account()
    protect(account)
    with pytest.raises(ProtectionRefused, match="on its way already"):
        protect(account)
    protect(account, symbol="F")
    account.is_active = False
    account.save()
    with pytest.raises(AccountNotUsable):
        protect(account, symbol="KO")


def test_shares_that_were_sold_meanwhile_are_not_sold_again(sim, held):
    order = protect(held)
    sale = sim.manual_order(symbol="QCOM", side="sell", qty="4")
    sim.wait_for_status(sale["client_order_id"], "filled")
    send(held)
    order.refresh_from_db()
    assert order.submission_state == "denied"
    assert order.refusal == "Alpaca holds 6 QCOM by now, fewer than the 10 it would sell."
    sale = sim.manual_order(symbol="QCOM", side="sell", qty="6")
    sim.wait_for_status(sale["client_order_id"], "filled")
    protect(held)
    send(held)
    assert Order.objects.filter(refusal="Alpaca holds no QCOM that it would protect.").exists()
    assert posts(sim) == []


def test_a_stop_beyond_the_market_is_not_sent(sim, held):
    order = protect(held)
    sim.price("QCOM", "89.50")
    send(held)
    order.refresh_from_db()
    assert (order.submission_state, posts(sim)) == ("denied", [])
    assert "beyond the stop of 90" in order.refusal


def test_kill_switch_holds_it_back(sim, held):
    order = protect(held)
    halt_sending(account=held, actor="ops", reason="test", now=timezone.now())
    send(held)
    order.refresh_from_db()
    assert (order.submission_state, posts(sim)) == ("recorded", [])
    resume_sending(account=held, actor="ops", reason="test", now=timezone.now())
    send(held)
    order.refresh_from_db()
    assert order.submission_state == "confirmed"


def test_what_waited_half_a_day_is_denied(sim, held):
    order = protect(held, now=timezone.now() - timedelta(hours=13))
    send(held)
    order.refresh_from_db()
    assert (order.submission_state, posts(sim)) == ("denied", [])


def test_lost_answer_is_looked_up_and_never_sent_twice(sim, held):
    order = protect(held)
    sim.fault("drop_answer", "POST", "/v2/orders")
    send(held)

    def settled():
        settle_orders(account_id=held.pk, now=timezone.now())
        order.refresh_from_db()
        return order.submission_state == "confirmed"

    wait_for(settled, "the look-up")
    assert (len(posts(sim)), len(sent(sim))) == (1, 1)


@pytest.mark.usefixtures("quick_settling")
def test_what_never_arrived_is_sent_again_under_the_same_id(sim, held):
    order = protect(held)
    sim.fault("hang", "POST", "/v2/orders", times=1)
    send(held)
    order.refresh_from_db()
    assert order.submission_state == "unconfirmed"
    sim.clear_faults()

    def settled():
        settle_orders(account_id=held.pk, now=timezone.now())
        send(held)
        order.refresh_from_db()
        return order.submission_state == "confirmed"

    wait_for(settled, "the second attempt")
    assert {row["client_order_id"] for row in posts(sim)} == {order.client_order_id}
    assert len(sent(sim)) == 1


def test_refusal_is_kept_and_too_many_requests_only_wait(sim, held):
    sim.fault("status", "POST", "/v2/orders", status=429)
    order = protect(held)
    send(held)
    order.refresh_from_db()
    assert (order.submission_state, order.not_before is not None) == ("recorded", True)
    Order.objects.update(not_before=None)
    send(held)
    order.refresh_from_db()
    assert order.submission_state == "confirmed"
    again = protect(held)
    send(held)
    again.refresh_from_db()
    assert again.submission_state == "rejected"
    assert "insufficient qty available" in again.refusal


def test_the_worker_finds_it_in_the_rows(db):
    protect(make_account())
    assert queue_due_work(timezone.now()) == 1
    assert queue_due_work(timezone.now()) == 0
