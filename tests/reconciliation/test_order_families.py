"""Orders that belong together: replaced ones, brackets with their legs, pairs."""

from decimal import Decimal

import pytest

from broker.models import Account
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.models import Run
from tests.reconciliation.steps import backfill_all, kinds, open_books, placed, reconcile, record_as
from tests.reconciliation.test_drift_kinds import assert_repaired
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    return sim_account


def test_fills_on_every_link_of_a_chain_are_one_cause(account: Account, sim: SimAccount) -> None:
    first = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, first)
    link = first
    for price in ("1.10", "1.20"):
        sim.act("fill", order_id=link["id"], qty="3", price="1.00")
        link = sim.api("PATCH", f"/v2/orders/{link['id']}", json={"limit_price": price})
        link = sim.wait_for_status(link["client_order_id"], "new")
    sim.act("fill", order_id=link["id"], price="1.20")
    assert reconcile(account).state == Run.State.DRIFT
    assert set(kinds(account)) == {"replace_chain"}
    assert_repaired(account, sim)
    assert sorted(Fill.objects.values_list("qty", flat=True)) == [3, 3, 4]


def bracket(sim: SimAccount, wait: str) -> dict[str, str]:
    sim.price("QCOM", "100")
    return placed(
        sim, client_order_id="ts-1", type="limit", limit_price="90", order_class="bracket", wait=wait,
        take_profit={"limit_price": "120"}, stop_loss={"stop_price": "80"},
    )  # fmt: skip


def test_legs_of_our_bracket_are_ours(account: Account, sim: SimAccount) -> None:
    """Alpaca gives the legs ids of its own, and lists them one by one."""
    record_as(account, sim, bracket(sim, "new"))
    reconcile(account)
    assert kinds(account) == {"our_order_unlinked": []}
    assert_repaired(account, sim)
    assert sorted(Order.objects.values_list("status", flat=True)) == ["held", "held", "new"]

    sim.price("QCOM", "89")
    sim.wait_for_status("ts-1", "filled")
    reconcile(account)
    assert_repaired(account, sim)
    sim.price("QCOM", "121")
    legs = Order.objects.exclude(client_order_id="ts-1")
    for leg in legs:
        sim.wait_for_status(leg.client_order_id, "filled" if leg.order_type == "limit" else "canceled")
    reconcile(account)
    assert_repaired(account, sim)
    assert Position.objects.get().state == "closed"


def test_pair_is_one_holding(account: Account, sim: SimAccount) -> None:
    """Its orders say BTC/USD, its position BTCUSD."""
    record_as(account, sim, placed(sim, client_order_id="ts-1", symbol="BTC/USD", qty="0.5", time_in_force="gtc"))
    assert reconcile(account).state == Run.State.IN_SYNC
    placed(sim, client_order_id="ts-2", symbol="BTC/USD", side="sell", qty="0.2", time_in_force="gtc")
    reconcile(account)
    assert kinds(account) == {"our_order_unlinked": ["position_qty"]}
    assert backfill_all(account).all_verified
    assert reconcile(account).state == Run.State.IN_SYNC
    assert Position.objects.get().qty == Decimal("0.3")
