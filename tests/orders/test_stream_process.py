"""`manage.py stream` as a process: how it begins and ends, and what kills, restarts and a locked database do to it."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.utils import timezone

from orders.following import follow_orders
from orders.models import Fill, Order
from positions.models import Position
from tests.databases import address_in_use, hold_write_lock
from tests.orders.processes import end
from tests.orders.streams import booked_qty, fill, place, start_stream, state_of, wait_booked, wait_live
from tests.simulation import ROOT, SimAccount, Simulator, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def stream_of(sim, account, **environment):
    """A running `manage.py stream` that is live; ended at last, whatever happened."""
    process, begun = start_stream(sim, **environment), timezone.now()
    try:
        wait_live(account, since=begun, seconds=60)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def refused(sim, *arguments, **environment):
    """Run it where it cannot begin; return what it said, which is one sentence."""
    status, said = end(start_stream(sim, *arguments, **environment))
    assert status == 2
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_when_told_to(sim, sim_account, number):
    with stream_of(sim, sim_account) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert output.endswith("stream: stopped\n")
    state = state_of(sim_account)
    assert state is not None
    assert (state.holder, state.connected_at) == ("", None)


def test_wrong_keys_are_said_once(sim, sim_account):
    assert "does not accept the keys" in refused(sim, ALPACA_API_KEY="unauthorized")


def test_an_unknown_account_is_said(sim, sim_account):
    assert "There is no account 'nobody'" in refused(sim, "--account", "nobody")


def test_missing_keys_are_said(sim, sim_account):
    said = refused(sim, ALPACA_ENV="paper", ALPACA_BASE_URL="", ALPACA_API_KEY="", ALPACA_SECRET_KEY="")
    assert "has no credentials" in said


def test_an_address_where_nobody_listens_is_said(sim, sim_account):
    assert "nothing listens there" in refused(sim, ALPACA_STREAM_URL="ws://127.0.0.1:9/stream")


def test_a_second_follower_of_an_account_is_refused(sim, sim_account):
    with stream_of(sim, sim_account) as process:
        assert "Another process follows the stream of sim already" in refused(sim)
        assert process.poll() is None


def test_killed_in_the_middle_of_fills_it_loses_none(sim, sim_account):
    orders = [place(sim, sim_account) for _ in range(8)]
    with stream_of(sim, sim_account) as process:
        for number, order in enumerate(orders):
            fill(sim, order, qty=4)
            if number == 4:
                wait_for(lambda: Fill.objects.exists(), "the first fill")
                process.kill()
                process.wait()
        for order in orders:
            fill(sim, order)
    assert Fill.objects.count() < 16
    with stream_of(sim, sim_account):
        for order in orders:
            wait_booked(order)
    assert Fill.objects.count() == 16


def test_fills_while_the_database_is_locked_for_twenty_seconds_are_all_booked(sim, sim_account):
    orders = [place(sim, sim_account) for _ in range(10)]
    with stream_of(sim, sim_account) as process:
        connected_at = wait_live(sim_account).connected_at
        locker = hold_write_lock(address_in_use(), 20)
        for order in orders:
            fill(sim, order, qty=3)
            fill(sim, order)
            time.sleep(0.5)
        assert not Fill.objects.exists()
        end(locker)
        unlocked = time.monotonic()
        for order in orders:
            wait_booked(order)
        assert time.monotonic() - unlocked < 10
        assert process.poll() is None
        assert wait_live(sim_account).connected_at == connected_at
    assert Fill.objects.count() == 20


# --- The server goes and comes back ------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_simulator(port, state):
    command = [sys.executable, "-m", "alpacasim", "--port", str(port), "--state", str(state), "--rate-limit", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "listening" in process.stdout.readline()
    return process


def test_after_a_restart_of_the_server_it_follows_again_and_has_missed_nothing(sim_account, settings, tmp_path):
    port, state = free_port(), tmp_path / "sim.db"
    server = start_simulator(port, state)
    try:
        own = SimAccount(Simulator(f"http://127.0.0.1:{port}"), "restarted")
        settings.ALPACA_BASE_URL, settings.ALPACA_API_KEY = own.url, own.key_id
        orders = [place(own, sim_account) for _ in range(3)]
        with stream_of(own, sim_account):
            fill(own, orders[0])
            wait_booked(orders[0])
            before = wait_live(sim_account)
            server.kill()
            server.communicate()
            wait_for(lambda: (s := state_of(sim_account)) and s.connected_at is None, "the loss", seconds=30)
            server = start_simulator(port, state)
            fill(own, orders[1])  # most likely before it is followed again
            after = wait_live(sim_account, since=before.connected_at, seconds=30)
            assert after.reconnects == before.reconnects + 1
            fill(own, orders[2])
            for order in orders:
                wait_booked(order)
    finally:
        server.kill()
        server.communicate()


# --- With it and without it ----------------------------------------------------------------------------------------

FACTS = ("status", "filled_qty", "filled_avg_price", "filled_at", "canceled_at", "is_booked", "broker_updated_at")


def play(sim, orders):
    """A day in short: a whole fill, parts, a part and a cancel, a cancel, and one that rests."""
    whole, parts, cut_off, canceled, _resting = orders
    fill(sim, whole, price="1.02")
    for qty, price in ((2, "1.01"), (5, "1.03"), (3, "0.99")):
        fill(sim, parts, qty=qty, price=price)
    fill(sim, cut_off, qty=4, price="1.00")
    for order in (cut_off, canceled):
        sim.api("DELETE", f"/v2/orders/{order.broker_order_id}")
    for order in (cut_off, canceled):
        sim.wait_for_status(order.client_order_id, "canceled")


def rows(order):
    order.refresh_from_db()
    fills = sorted(order.fills.values_list("activity_id", "qty", "price", "transaction_time"))
    return {name: getattr(order, name) for name in FACTS}, fills


def positions():
    fields = ("symbol", "state", "side", "qty", "avg_entry_price", "realized_pl", "stop_loss", "target", "total_risk")
    return sorted(map(str, Position.objects.values_list(*fields)))


def test_sweeps_alone_reach_the_same_rows_as_the_stream(sim, sim_account):
    orders = [place(sim, sim_account) for _ in range(5)]
    with stream_of(sim, sim_account):
        play(sim, orders)
        for order, qty in zip(orders[:3], (10, 10, 4), strict=True):
            wait_booked(order, qty)
        wait_for(lambda: all(o.status == "canceled" for o in Order.objects.filter(pk=orders[3].pk)), "the cancel")
        told = [rows(order) for order in orders]
    by_stream = positions()
    assert booked_qty(orders[1]) == Decimal(10)
    assert set(orders[1].events.filter(kind="fill").values_list("actor", flat=True)) == {"system:stream"}
    # The same orders once more, as they were before anything was told of them.
    Fill.objects.all().delete()
    Position.objects.all().delete()
    blank = {"status": "new", "filled_qty": 0, "filled_avg_price": None, "filled_at": None, "canceled_at": None}
    Order.objects.update(**blank, is_booked=False, broker_updated_at=None, followed_at=None)
    for _sweep in range(3):
        Order.objects.update(followed_at=None)
        follow_orders(account_id=sim_account.pk, now=timezone.now())
    assert [rows(order) for order in orders] == told
    assert positions() == by_stream
