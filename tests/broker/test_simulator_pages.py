"""The simulator's pages, walked over HTTP."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from broker.alpaca_gateway import AlpacaGateway
from broker.errors import BrokerUnavailable, UnreadableAnswer
from broker.paging import OrdersWalk
from broker.types import OrderRequest
from tests.broker.samples import fill_row
from tests.simulation import SimAccount

MakeOrder = Callable[..., OrderRequest]


def in_pages_of(limit: int, walk: OrdersWalk) -> OrdersWalk:
    walk.limit = limit
    walk.parameters["limit"] = str(limit)
    return walk


def test_the_simulators_pages_are_walked_to_their_end(
    gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder
) -> None:
    for n in range(7):
        gateway.submit_order(order(f"n{n}", qty=Decimal(1)))
    for n in range(5):
        gateway.submit_order(order(f"open{n}", qty=Decimal(1), order_type="limit", limit_price=Decimal(1)))
    sim.wait_for_status("n6", "filled")
    for limit in (2, 3, 4, 7, 12, 13):
        read = [o for page in in_pages_of(limit, gateway._walk_orders("all")).pages() for o in page.orders]
        assert len({o.client_order_id for o in read}) == 12
    opened = [o for page in in_pages_of(2, gateway._walk_orders("open")).pages() for o in page.orders]
    assert {o.client_order_id for o in opened} == {f"open{n}" for n in range(5)}


def test_orders_since_leaves_out_what_is_older(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    gateway.submit_order(order("old"))
    placed = gateway.submit_order(order("new"))
    sim.wait_for_status("new", "filled")  # one that moves while it is read comes twice
    assert placed.submitted_at
    since = placed.submitted_at - timedelta(microseconds=1)
    assert [o.client_order_id for page in gateway.orders_since(since) for o in page.orders] == ["new"]
    (last,) = gateway.orders_since(None)
    assert [o for page in gateway.orders_since(None, last.cursor) for o in page.orders if o.status == "filled"] == []


@pytest.mark.parametrize("fault", ["truncated_page", "empty_list"])
@pytest.mark.parametrize("path", ["/v2/orders", "/v2/account/activities"])
def test_a_cut_answer_of_the_simulator_is_noticed(
    gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder, fault: str, path: str
) -> None:
    for n in range(4):
        gateway.submit_order(order(f"n{n}"))
    sim.wait_for_status("n3", "filled")
    sim.fault(fault, "GET", path)
    walk: Any = gateway.orders_since if path.endswith("orders") else gateway.activities_since
    with pytest.raises(BrokerUnavailable, match="cut short"):
        list(walk(None))


def test_activities_of_the_simulator_are_walked(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    for n in range(3):
        gateway.submit_order(order(f"n{n}"))
    sim.wait_for_status("n2", "filled")
    (page,) = gateway.activities_since(None)
    assert page.is_last
    assert len(page.fills) == 3
    assert [p.fills for p in gateway.activities_since(None, page.cursor)] == [()]
    assert sum(len(p.fills) for p in gateway.activities_since(page.fills[-1].transaction_time)) >= 1


def test_the_fills_of_a_filled_order_take_one_request(
    gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder
) -> None:
    placed = gateway.submit_order(order())
    sim.wait_for_status("one", "filled")
    before = gateway.calls
    assert len(gateway.fills_of(placed.broker_order_id)) == 1
    assert gateway.calls == before + 1


def test_the_fills_of_a_working_order_are_proven(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    sim.configure(hold_fills=True)
    placed = gateway.submit_order(order(qty=Decimal(10)))
    sim.wait_for_status("one", "new")
    for qty in ("4", "3"):
        sim.act("fill", order_id=placed.broker_order_id, qty=qty)
    assert [fill.qty for fill in gateway.fills_of(placed.broker_order_id)] == [4, 3]
    sim.fault("truncated_page", "GET", "/v2/account/activities/FILL", rows=1)
    with pytest.raises(BrokerUnavailable, match="cut short"):
        gateway.fills_of(placed.broker_order_id)


def test_the_fills_of_other_orders_are_not_taken(gateway: AlpacaGateway, sim: SimAccount) -> None:
    sim.fault("status", "GET", times=None, status=200, body=[fill_row()])
    with pytest.raises(UnreadableAnswer):
        gateway.fills_of("another")
