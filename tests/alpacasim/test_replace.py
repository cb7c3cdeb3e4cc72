"""Replacing orders."""

from typing import Any

import pytest

from .conftest import Sim


def resting(sim: Sim, **fields: Any) -> dict[str, Any]:
    sim.price("AAPL", "100")
    return sim.wait_status(sim.limit(50, **fields)["id"], "new")


def patch(sim: Sim, order_id: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = sim.api("PATCH", f"/v2/orders/{order_id}", json=body)
    return answer.status_code, answer.json()


def test_a_replacement_is_a_new_order_that_points_back(sim: Sim) -> None:
    old = resting(sim, client_order_id="mine")
    status, new = patch(sim, old["id"], limit_price="60", qty="5")
    assert status == 200
    assert new["id"] != old["id"]
    assert new["client_order_id"] != "mine", "the client_order_id does not follow the chain"
    assert new["status"] == "new"
    assert (new["replaces"], new["limit_price"], new["qty"]) == (old["id"], "60", "5")
    assert new["created_at"] == old["created_at"]
    assert new["submitted_at"] > old["submitted_at"]
    old = sim.order(old["id"])
    assert (old["status"], old["replaced_by"]) == ("replaced", new["id"])
    assert old["replaced_at"] > new["submitted_at"]
    assert old["limit_price"] == "50"
    assert sim.client.get_order_by_client_id("mine")["id"] == old["id"]


def test_a_replacement_takes_a_client_order_id_of_its_own(sim: Sim) -> None:
    old = resting(sim, client_order_id="mine")
    assert patch(sim, old["id"], qty="5", client_order_id="mine")[0] == 422
    assert patch(sim, old["id"], qty="5", client_order_id="mine-2")[1]["client_order_id"] == "mine-2"


def test_each_link_of_a_chain_counts_its_own_executions(sim: Sim) -> None:
    old = resting(sim)
    sim.act("fill", order_id=old["id"], qty="4", price="50")
    _, new = patch(sim, old["id"], limit_price="100")
    assert (new["qty"], new["filled_qty"]) == ("6", "0")
    sim.wait_status(new["id"], "filled")
    assert sim.order(old["id"])["filled_qty"] == "4"
    assert sim.qty_of("AAPL") == "10"
    total = sum(int(fill["qty"]) for fill in sim.fills())
    assert total == 10


@pytest.mark.parametrize(
    ("prepare", "body", "message"),
    [
        (None, {}, "order parameters are not changed"),
        (None, {"limit_price": "50"}, "order parameters are not changed"),
        (None, {"limit_price": "50.001"}, "invalid limit_price 50.001."),
        ("cancel", {"qty": "5"}, "unable to replace order, order is not open"),
        ("fill", {"qty": "4"}, "qty must be > filled_qty"),
        ("replace", {"qty": "4"}, "order already replaced"),
    ],
)
def test_refused_replacements(sim: Sim, prepare: str | None, body: dict[str, Any], message: str) -> None:
    order = resting(sim)
    if prepare == "cancel":
        sim.act("cancel", order_id=order["id"])
    elif prepare == "fill":
        sim.act("fill", order_id=order["id"], qty="4", price="50")
    elif prepare == "replace":
        patch(sim, order["id"], qty="9")
    status, refused = patch(sim, order["id"], **body)
    assert status == 422
    assert refused["code"] == 42210000
    assert refused["message"].startswith(message)


def test_an_order_that_is_not_at_the_market_yet_cannot_be_replaced(sim: Sim) -> None:
    sim.act("clock", mode="nyse", pin="2025-11-08T15:00:00Z")
    order = sim.limit(50)
    assert patch(sim, order["id"], qty="5")[1]["message"] == "cannot replace order in accepted status"
