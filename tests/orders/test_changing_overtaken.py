"""A replacement that Alpaca took and ended, while the old order went its own way: its symbol is judged again."""

import pytest

from orders.changing import symbols_under_way
from orders.models import Order
from tests.orders.test_changing import carry_out, quick, resting, settle, want  # noqa: F401  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("is_old_filled", [True, False])
def test_a_replacement_that_ends_canceled_is_settled(sim, resting, is_old_filled):  # noqa: F811
    """The old order fills while Alpaca still has the replacement before it, which somebody cancels."""
    sim.configure(fill_delay_ms=8000)
    sim.fault("reject_replacement", "PATCH")
    change = want(resting, limit_price="1.25")
    assert carry_out(change) == "unconfirmed"
    new = sim.api("GET", "/v2/orders:by_client_order_id", params={"client_order_id": change.client_order_id})
    sim.configure(fill_delay_ms=20)
    sim.api("DELETE", f"/v2/orders/{new['id']}")
    sim.wait_for_status(change.client_order_id, "canceled")
    if is_old_filled:
        sim.act("fill", order_id=resting.broker_order_id)
    assert settle(change) == "refused"
    old = "filled" if is_old_filled else "new"
    assert change.outcome == f"Alpaca took the replacement and ended it as canceled; the old order is {old}."
    assert symbols_under_way(resting.account) == set()
    resting.refresh_from_db()
    assert resting.status == old
    assert Order.objects.get(broker_order_id=new["id"]).status == "canceled"
