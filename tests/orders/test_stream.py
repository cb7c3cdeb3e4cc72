"""What the stream tells is in the books at once, whatever happens to its frames and its connection."""

from decimal import Decimal

import pytest

from orders.models import Fill, Order
from tests.orders.streams import fill, following, place, state_of, wait_booked, wait_live
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rare_sweeps(monkeypatch):
    """Only the stream, and what it reads because of a doubt: the ordinary sweep comes in a minute."""
    monkeypatch.setattr("orders.stream_following._SWEEP_EVERY", 60.0)


@pytest.mark.usefixtures("rare_sweeps")
def test_a_fill_is_booked_from_one_frame_and_one_request(sim, sim_account):
    order = place(sim, sim_account)
    with following(sim_account):
        before = len(sim.requests())
        fill(sim, order, price="1.01")
        wait_booked(order)
        assert [r["path"] for r in sim.requests()[before:]] == ["/v2/account/activities/FILL"]
    assert (order.status, order.is_booked) == ("filled", True)
    assert order.events.filter(actor="system:stream").exists()


@pytest.mark.usefixtures("rare_sweeps")
def test_partial_fills_add_up(sim, sim_account):
    order = place(sim, sim_account)
    with following(sim_account):
        for qty in (1, 2, 3, 4):
            fill(sim, order, qty=qty)
        wait_booked(order)
    assert Fill.objects.count() == 4


@pytest.mark.usefixtures("rare_sweeps")
def test_a_cancel_needs_no_request(sim, sim_account):
    order = place(sim, sim_account)
    with following(sim_account):
        before = len(sim.requests("GET"))
        sim.api("DELETE", f"/v2/orders/{order.broker_order_id}")
        wait_for(lambda: Order.objects.get(pk=order.pk).status == "canceled", "the cancel")
        assert len(sim.requests("GET")) == before


@pytest.mark.usefixtures("rare_sweeps")
@pytest.mark.parametrize("fault", ["double_frame", "reorder_frames", "lose_frame"])
def test_doubled_late_and_lost_frames_make_no_difference_once_a_later_one_comes(sim, sim_account, fault):
    order = place(sim, sim_account)
    with following(sim_account):
        sim.fault(fault, match={"event": "partial_fill"}, times=2)
        for qty in (1, 2, 3, 4):
            fill(sim, order, qty=qty)
        wait_booked(order)
    assert Fill.objects.count() == 4
    assert order.status == "filled"


def test_a_lost_last_frame_is_found_by_the_sweep(sim, sim_account):
    order = place(sim, sim_account)
    with following(sim_account):
        sim.fault("lose_frame")
        fill(sim, order)
        wait_booked(order, seconds=30)


@pytest.mark.usefixtures("rare_sweeps")
def test_what_was_missed_while_the_socket_was_closed_is_read(sim, sim_account):
    order, late = place(sim, sim_account), place(sim, sim_account)
    with following(sim_account):
        before = wait_live(sim_account)
        sim.fault("close_socket")
        fill(sim, order)
        fill(sim, late)
        wait_live(sim_account, since=before.connected_at)
        wait_booked(order)
        wait_booked(late)
        state = wait_for(lambda: state_of(sim_account), "the state")
        assert state.reconnects == before.reconnects + 1
        assert state.gap_since is None


@pytest.mark.usefixtures("rare_sweeps")
def test_what_was_taken_back_while_the_socket_was_closed_is_not_booked(sim, sim_account):
    order = place(sim, sim_account)
    with following(sim_account):
        before = wait_live(sim_account)
        sim.fault("close_socket")
        fill(sim, order)
        sim.act("correct", order_id=order.broker_order_id, price="98")
        wait_live(sim_account, since=before.connected_at)
        wait_booked(order)
        wait_for(lambda: (state := state_of(sim_account)) and state.gap_since is None, "the end of the reading")
        assert list(order.fills.values_list("price", flat=True)) == [Decimal(98)]


@pytest.mark.usefixtures("rare_sweeps")
def test_a_socket_that_is_open_and_silent_is_given_up(sim, sim_account, monkeypatch):
    monkeypatch.setattr("broker.stream_watch.ASK_AFTER", 0.5)
    monkeypatch.setattr("broker.stream_watch.ANSWER_WITHIN", 0.5)
    order = place(sim, sim_account)
    with following(sim_account):
        before = wait_live(sim_account)
        sim.fault("silent_socket")
        fill(sim, order)
        wait_booked(order)
        after = wait_live(sim_account, since=before.connected_at)
        assert after.reconnects == before.reconnects + 1
        next_one = place(sim, sim_account)
        fill(sim, next_one)
        wait_booked(next_one)
