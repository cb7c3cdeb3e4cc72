"""The straight way: every order once at Alpaca, once in the database, its fills booked."""

import time
from decimal import Decimal

import pytest
from django.utils import timezone

from orders.booking import after_fills
from orders.models import Batch, Fill, OrderEvent
from orders.sending import execute_batch
from tests.orders.conftest import ONE, SEVEN, only_order, orders_at_broker, posts, release, states

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_order_is_sent_confirmed_filled_and_booked(sim, sim_account):
    sim.price("AAPL", "150.25")
    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    [at_broker] = orders_at_broker(sim)
    assert order.submission_state == "confirmed"
    assert order.broker_order_id == at_broker["id"]
    assert order.client_order_id == at_broker["client_order_id"]
    assert order.status == "filled"
    assert order.filled_qty == sum(fill.qty for fill in order.fills.all()) == Decimal(10)
    assert order.is_booked
    assert {fill.price for fill in order.fills.all()} == {Decimal("150.25")}
    assert set(order.events.values_list("kind", flat=True)) == {"recorded", "claimed", "confirmed", "status", "fill"}
    batch.refresh_from_db()
    assert batch.state == Batch.State.FINISHED
    assert batch.finished_at is not None


def test_seven_orders_at_fifty_milliseconds_take_less_than_two_seconds(sim, sim_account):
    from orders.checking import check_batch

    check_batch(account=sim_account, data=ONE.encode(), filename="warm-up.csv", now=timezone.now())
    sim.configure(latency_ms=50)
    batch = release(sim_account, SEVEN)
    started = time.monotonic()
    confirmed_after: list[float] = []

    def watch():
        if not confirmed_after and states(batch) == {"confirmed"}:
            confirmed_after.append(time.monotonic() - started)

    execute_batch(batch_id=batch.pk, now=timezone.now(), on_progress=watch)
    assert confirmed_after[0] < 2
    assert Fill.objects.filter(order__batch=batch).count() == 7


def test_orders_are_in_flight_together(sim, sim_account, settings):
    settings.ORDERS_IN_FLIGHT = 7
    sim.fault("delay_answer", "POST", "/v2/orders", times=7, seconds=3)
    batch = release(sim_account, SEVEN)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    begun = [request["time"] for request in posts(sim)]
    assert len(begun) == 7
    assert max(begun) - min(begun) < 3  # the last was sent before the first was answered


def test_executing_again_sends_nothing(sim, sim_account):
    batch = release(sim_account, SEVEN)
    for _ in range(3):
        execute_batch(batch_id=batch.pk, now=timezone.now())
    assert len(posts(sim)) == len(orders_at_broker(sim)) == 7


def test_positions_follow_inside_the_booking(sim, sim_account, monkeypatch):
    seen = []
    monkeypatch.setattr("orders.booking.after_fills", [lambda account, symbols, now: seen.append((account, symbols))])
    execute_batch(batch_id=release(sim_account).pk, now=timezone.now())
    assert set(map(str, seen)) == {str((sim_account, {"AAPL"}))}
    assert isinstance(after_fills, list)


def test_an_error_in_the_positions_does_not_lose_the_fact(sim, sim_account, monkeypatch):
    def fail(account, symbols, now):
        raise ValueError("cannot fold")

    monkeypatch.setattr("orders.booking.after_fills", [fail])
    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert only_order(batch).status == "filled"


def test_each_kind_of_order_arrives_as_it_was_written(sim, sim_account):
    sim.price("AAPL", "150")
    text = (
        "symbol,side,qty,notional,order_type,time_in_force,limit_price,stop_price,trail_price,extended_hours\n"
        "AAPL,buy,3,,limit,gtc,100.5,,,\n"
        "AAPL,buy,1,,limit,day,99,,,true\n"
        "AAPL,buy,2,,stop,day,,200,,\n"
        "AAPL,buy,4,,stop_limit,day,210,200,,\n"
        "AAPL,buy,5,,trailing_stop,day,,,1.5,\n"
        "AAPL,buy,,250.5,market,day,,,,\n"
        "AAPL,buy,0.123456789,,market,day,,,,\n"
    )
    batch = release(sim_account, text)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert states(batch) == {"confirmed"}
    for order in batch.orders.all():
        found = sim.order(order.client_order_id)
        for name in ("qty", "notional", "limit_price", "trail_price"):
            assert found[name] == (None if getattr(order, name) is None else f"{getattr(order, name):f}"), name
        assert (found["type"], found["time_in_force"]) == (order.order_type, order.time_in_force)
        assert found["extended_hours"] == order.extended_hours


def test_a_refusal_is_kept_with_its_reason(sim, sim_account):
    batch = release(sim_account, "symbol,side,notional\nAAPL,buy,999999999\n")
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = only_order(batch)
    assert order.submission_state == "rejected"
    assert "buying power" in order.refusal
    assert orders_at_broker(sim) == []
    batch.refresh_from_db()
    assert batch.state == Batch.State.FINISHED


def test_every_step_is_on_the_time_line_in_order(sim, sim_account):
    batch = release(sim_account)
    execute_batch(batch_id=batch.pk, now=timezone.now())
    kinds = list(OrderEvent.objects.filter(order__batch=batch).values_list("kind", flat=True))
    assert kinds[:3] == ["recorded", "claimed", "confirmed"]
