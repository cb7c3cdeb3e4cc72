"""What an order costs on its way, in statements and requests: the same whatever else is in the books. No clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from broker.gateway import open_gateway
from broker.mapping import to_order
from broker.stream import Update
from orders.models import Order
from orders.sending import execute_batch, send_one
from orders.settling import settle_orders
from orders.streaming import Streaming
from tests.factories import make_fill, make_order
from tests.orders.conftest import posts, release, states
from tests.orders.streams import booked_qty, fill, place

pytestmark = pytest.mark.django_db(transaction=True)

#: Statements of one order from its claim to its confirmation, with its position, the begins of transactions included.
MOST_TO_SEND = 24
#: And of one order that is looked up after an unknown outcome, or of which the stream tells that it is filled.
MOST_TO_SETTLE = 24
MOST_TO_BOOK_A_FILL = 31
SYMBOLS = ("AAPL", "MSFT", "F", "KO", "QCOM", "APH", "BMY")


class Statements(list[str]):
    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        self.append(sql)
        return execute(sql, *rest)


@contextmanager
def counted() -> Iterator[Statements]:
    statements = Statements()
    with connection.execute_wrapper(statements):
        yield statements


def lines(count: int) -> str:
    return "symbol,side,qty\n" + "".join(f"{SYMBOLS[n % 7]},buy,{1 + n // 7}\n" for n in range(count))


def add_history(account, count=60):
    """Orders that have ended long ago, each with its fill, in the symbols that are traded."""
    for number in range(count):
        order = make_order(
            account, symbol=SYMBOLS[number % 7], side="sell" if number // 7 % 2 else "buy", status="filled",
            filled_qty="10", filled_avg_price="100", is_booked=True,
        )  # fmt: skip
        make_fill(order)


def cost_of_sending(account, count):
    """Statements of each order, one after the other, without the first: it fills what is remembered."""
    batch = release(account, lines(count))
    gateway, found = open_gateway(account), []
    for pk in batch.orders.order_by("pk").values_list("pk", flat=True):
        with counted() as statements:
            assert send_one(gateway, pk, timezone.now) is None
        found.append(len(statements))
    assert states(batch) == {"confirmed"}
    return found[1:]


def test_sending_an_order_costs_the_same_in_a_long_history(sim, sim_account):
    add_history(sim_account, 14)
    few = cost_of_sending(sim_account, 8)
    add_history(sim_account, 280)
    many = cost_of_sending(sim_account, 15)
    assert max(*few, *many) <= MOST_TO_SEND, (few, many)  # a position to follow is three more


@pytest.mark.parametrize("count", [3, 21])
def test_each_order_of_a_batch_is_one_request_and_the_rest_are_few(sim, sim_account, count):
    batch = release(sim_account, lines(count))
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert len(posts(sim)) == count
    # Following asks one by one for a few, and by lists for many: in each of its looks.
    assert len(sim.requests()) - count <= 25


def test_settling_costs_one_request_and_the_same_statements_an_order(sim, sim_account):
    costs = []
    for count in (2, 12):
        batch = release(sim_account, lines(count))
        execute_batch(batch_id=batch.pk, now=timezone.now())
        orders = Order.objects.filter(batch=batch)
        orders.update(submission_state="unconfirmed", broker_order_id="", unconfirmed_at=timezone.now(), status="")
        before = len(sim.requests())
        with counted() as statements:
            settle_orders(account_id=sim_account.pk, now=timezone.now())
        assert states(batch) == {"confirmed"}
        assert len(sim.requests()) - before == count
        costs.append(len(statements) / count)
        add_history(sim_account)
    assert costs[1] <= costs[0]
    assert max(costs) <= MOST_TO_SETTLE, costs


def test_fills_that_are_told_together_cost_one_request_and_the_same_statements_each(sim, sim_account):
    gateway, costs = open_gateway(sim_account), []
    for count in (2, 12):
        orders = [place(sim, sim_account, symbol=SYMBOLS[n % 7], qty=1 + n) for n in range(count)]
        for order in orders:
            fill(sim, order)
        updates = [Update(timezone.now(), "fill", to_order(sim.order(order.client_order_id))) for order in orders]
        before = len(sim.requests())
        with counted() as statements:
            Streaming(account=sim_account, open_gateway=lambda: gateway).take(updates, timezone.now())
        assert all(booked_qty(order) == order.qty for order in orders)
        costs.append(((len(statements)) / count, len(sim.requests()) - before))
        add_history(sim_account)
    (few, few_calls), (many, many_calls) = costs
    assert many <= few, costs
    assert few <= MOST_TO_BOOK_A_FILL, costs
    assert many_calls <= few_calls <= 2, costs
