"""Positions follow the confirmations of a batch for many orders at once, and once more at its end."""

from queue import SimpleQueue

import pytest
from django.utils import timezone

from broker.gateway import open_gateway
from orders import booking
from orders.models import Batch
from orders.sending import execute_batch, send_one
from orders.settling import settle_orders
from positions.models import Position
from tests.orders.conftest import release, states

pytestmark = pytest.mark.django_db(transaction=True)
SYMBOLS = ("AAPL", "MSFT", "F", "KO", "QCOM", "APH", "BMY")


def waiting_lines(count: int) -> str:
    """Buys far below the market: they are confirmed and wait."""
    orders = "".join(f"{SYMBOLS[n % 7]},buy,{1 + n // 7},limit,1.25\n" for n in range(count))
    return f"symbol,side,qty,order_type,limit_price\n{orders}"


def pending() -> set[str]:
    return set(Position.objects.filter(state=Position.State.PENDING).values_list("symbol", flat=True))


def test_one_by_one_would_be_once_for_each_order(sim, sim_account, monkeypatch):
    followed: list[set[str]] = []
    real = list(booking.after_fills)
    monkeypatch.setattr(booking, "after_fills", [lambda account, symbols, now: followed.append(symbols), *real])
    monkeypatch.setattr("orders.sending.follow_closely", lambda **named: None)
    batch = release(sim_account, waiting_lines(28))
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert states(batch) == {"confirmed"}
    assert pending() == set(SYMBOLS)
    assert followed[-1] == set(SYMBOLS)
    assert len(followed) < 20


def test_what_a_dead_sender_left_is_made_up_for_when_the_batch_is_finished(sim, sim_account):
    batch = release(sim_account, waiting_lines(7))
    gateway = open_gateway(sim_account)
    for pk in list(batch.orders.values_list("pk", flat=True)):
        send_one(gateway, pk, timezone.now, SimpleQueue())  # nobody reads it
    assert states(batch) == {"confirmed"}
    assert pending() == set()
    settle_orders(account_id=sim_account.pk, now=timezone.now())
    batch.refresh_from_db()
    assert batch.state == Batch.State.FINISHED
    assert pending() == set(SYMBOLS)


def test_sent_alone_it_follows_at_once(sim, sim_account):
    batch = release(sim_account, waiting_lines(1))
    send_one(open_gateway(sim_account), batch.orders.get().pk, timezone.now)
    assert pending() == {"AAPL"}
