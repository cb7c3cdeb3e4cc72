"""What the stream tells that is no plain bookkeeping: strangers, replaced orders, new words, legs, orders under way."""

import threading

import pytest
from django.utils import timezone

from broker.gateway import open_gateway
from broker.mapping import to_order
from broker.stream import Update
from orders.models import Fill, Order
from orders.sending import execute_batch
from orders.streaming import Streaming, is_doubtful, newest
from tests.broker.samples import order_row
from tests.factories import make_order
from tests.orders.conftest import SEVEN, release
from tests.orders.streams import booked_qty, fill, following, place, state_of, wait_booked, wait_live
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


def told(event="new", **fields):
    return Update(NOW, event, to_order(order_row(**fields)))


class Doubts(list):
    def take(self, doubt):
        self.append(doubt)
        return True


@pytest.fixture
def rare_sweeps(monkeypatch):
    monkeypatch.setattr("orders.stream_following._SWEEP_EVERY", 60.0)


# --- Of several frames -----------------------------------------------------------------------------------------


def test_of_several_frames_the_latest_state_counts_in_whatever_order_they_came():
    first = told(updated_at="2025-11-06T13:00:01Z", filled_qty="3", status="partially_filled")
    same = told(updated_at="2025-11-06T13:00:01Z", filled_qty="5", status="partially_filled")
    last = told(updated_at="2025-11-06T13:00:02Z", filled_qty="12", status="filled")
    for frames in ([first, same, last], [last, same, first], [same, last, first, last, first]):
        assert newest(frames) == {last.order.broker_order_id: last.order}


@pytest.mark.parametrize(
    ("event", "fields", "doubtful"),
    [
        ("fill", {}, False),
        ("replaced", {"replaced_by": "another"}, False),
        ("replaced", {}, True),
        ("trade_bust", {}, True),
        ("a_new_word", {}, True),
    ],
)
def test_what_a_frame_does_not_tell_is_looked_at(event, fields, doubtful):
    assert is_doubtful(told(event, **fields)) is doubtful


def test_older_news_changes_nothing_and_asks_for_nothing(sim, sim_account):
    facts = to_order(order_row(updated_at="2025-11-06T13:00:01Z", filled_qty="2", status="partially_filled"))
    order = make_order(
        sim_account, broker_order_id=facts.broker_order_id, client_order_id=facts.client_order_id, status="canceled",
        filled_qty="2", broker_updated_at=NOW,
    )  # fmt: skip
    streaming = Streaming(account=sim_account, open_gateway=lambda: open_gateway(sim_account))
    streaming.take([Update(NOW, "partial_fill", facts)], timezone.now())
    order.refresh_from_db()
    assert order.status == "canceled"
    assert sim.requests() == []


# --- Orders that are not in the books --------------------------------------------------------------------------


def test_an_order_from_elsewhere_is_left_to_reconciliation(sim, sim_account, monkeypatch):
    monkeypatch.setattr("orders.streaming.KNOWN_WITHIN_SECONDS", 0.5)
    doubts = Doubts()
    with following(sim_account, on_doubt=doubts.take):
        sim.manual_order(symbol="KO", qty="2", side="buy")
        wait_for(lambda: doubts, "the doubt")
    assert "KO: buy filled, and the order is not in the books" in doubts
    assert not Order.objects.exists()


def test_a_doubt_is_told_again_until_it_is_taken_care_of(sim, sim_account, monkeypatch):
    monkeypatch.setattr("orders.streaming.KNOWN_WITHIN_SECONDS", 0.1)
    monkeypatch.setattr("orders.stream_following._DOUBT_EVERY", 0.1)
    told_so_far = []

    def at_the_third(doubt):
        told_so_far.append(doubt)
        return len(told_so_far) >= 3

    with following(sim_account, on_doubt=at_the_third):
        sim.manual_order(symbol="KO", qty="2", side="buy")
        wait_for(lambda: len(told_so_far) >= 3, "three times")


@pytest.mark.usefixtures("rare_sweeps")
def test_a_busted_execution_is_left_to_reconciliation(sim, sim_account):
    order, doubts = place(sim, sim_account), Doubts()
    with following(sim_account, on_doubt=doubts.take):
        fill(sim, order)
        wait_booked(order)
        sim.act("bust", order_id=order.broker_order_id)
        wait_for(lambda: doubts, "the doubt")
    assert "took an execution back" in doubts[0]


# --- Orders that become others ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("rare_sweeps")
def test_a_replaced_order_ends_under_its_old_id(sim, sim_account):
    order = place(sim, sim_account)
    with following(sim_account):
        sim.api("PATCH", f"/v2/orders/{order.broker_order_id}", json={"limit_price": "0.90"})
        wait_for(lambda: Order.objects.get(pk=order.pk).status == "replaced", "the replacement")
    order.refresh_from_db()
    assert order.replaced_by != ""


@pytest.mark.usefixtures("rare_sweeps")
@pytest.mark.parametrize("answer", ["delay_answer", "drop_answer"])
def test_the_legs_of_a_bracket_are_booked_also_when_frames_come_before_the_answer(sim, sim_account, answer):
    head = (
        "symbol,side,qty,order_type,limit_price,time_in_force,order_class,take_profit_limit_price,stop_loss_stop_price"
    )
    batch = release(sim_account, f"{head}\nAAPL,buy,10,limit,1,gtc,bracket,2,0.5\n")
    sim.price("AAPL", "1.20")
    sim.fault(answer, "POST", "/v2/orders", **({"seconds": 0.5} if answer == "delay_answer" else {}))
    with following(sim_account):
        execute_batch(batch_id=batch.pk, now=timezone.now())
        parent = Order.objects.get(
            order_class="bracket", client_order_id=batch.orders.get(line_number__gt=0).client_order_id
        )
        wait_for(lambda: Order.objects.count() == 3, "the legs")
        fill(sim, parent)
        wait_booked(parent)
        legs = Order.objects.exclude(pk=parent.pk)
        wait_for(lambda: legs.filter(status="new").exists(), "a leg that works")
    parent.refresh_from_db()
    assert {leg["id"] for leg in parent.raw["legs"]} == set(legs.values_list("broker_order_id", flat=True))


# --- Orders that are being sent --------------------------------------------------------------------------------


@pytest.mark.usefixtures("rare_sweeps")
def test_what_is_told_before_the_answer_to_its_submit_is_booked_once(sim, sim_account):
    batch = release(sim_account, SEVEN)
    sim.fault("delay_answer", "POST", "/v2/orders", times=7, seconds=0.4)
    with following(sim_account):
        execute_batch(batch_id=batch.pk, now=timezone.now())
        for order in batch.orders.all():
            wait_booked(order)
    assert set(batch.orders.values_list("submission_state", "status")) == {("confirmed", "filled")}
    assert len(sim.requests("POST", "/v2/orders")) == 7
    assert Fill.objects.count() == 7


@pytest.mark.usefixtures("rare_sweeps")
def test_an_answer_that_is_lost_is_settled_by_the_frame(sim, sim_account):
    batch = release(sim_account)
    sim.fault("drop_answer", "POST", "/v2/orders")
    with following(sim_account):
        execute_batch(batch_id=batch.pk, now=timezone.now())
        wait_booked(batch.orders.get())
    assert len(sim.requests("POST", "/v2/orders")) == 1
    assert booked_qty(batch.orders.get()) == 10


# --- Faults while booking --------------------------------------------------------------------------------------


def test_a_fault_of_ours_in_booking_ends_nothing_and_what_it_was_about_is_read(sim, sim_account, monkeypatch):
    order, struck, book = place(sim, sim_account), threading.Event(), Streaming.take

    def broken_once(self, updates, now):
        if not struck.is_set():
            struck.set()
            raise RuntimeError("a fault of ours")
        book(self, updates, now)

    monkeypatch.setattr(Streaming, "take", broken_once)
    with following(sim_account):
        fill(sim, order)
        wait_booked(order)
    assert struck.is_set()


@pytest.mark.usefixtures("rare_sweeps")
def test_fills_that_are_not_listed_yet_are_asked_for_again(sim, sim_account):
    order = place(sim, sim_account)
    with following(sim_account):
        sim.fault("empty_list", "GET", "/v2/account/activities/FILL", times=2)
        fill(sim, order)
        wait_booked(order)


@pytest.mark.usefixtures("rare_sweeps")
def test_fills_that_cannot_be_read_are_asked_for_again(sim, sim_account):
    order = place(sim, sim_account)
    with following(sim_account):
        sim.fault("status", "GET", "/v2/account/activities/FILL", times=4, status=500)
        fill(sim, order)
        wait_booked(order)


@pytest.mark.usefixtures("rare_sweeps")
def test_a_connection_that_is_deaf_but_answers_is_given_up(sim, sim_account, monkeypatch):
    """The lists know of a fill that the stream does not tell, and it tells nothing else."""
    monkeypatch.setattr("orders.stream_following._TOLD_WITHIN", 0.5)
    monkeypatch.setattr("orders.stream_following._SWEEP_EVERY", 0.5)
    order = place(sim, sim_account)
    Order.objects.update(followed_at=None)
    with following(sim_account):
        Order.objects.update(followed_at=None)
        sim.fault("lose_frame", times=None)
        before = wait_live(sim_account).reconnects
        fill(sim, order)
        Order.objects.update(followed_at=None)
        wait_booked(order)
        sim.clear_faults()

        wait_for(lambda: (now := state_of(sim_account)) and now.reconnects > before, "a new connection")
