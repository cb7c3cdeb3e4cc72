"""Of two stops that are one too many the one that lasts stays, whichever is older."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker.models import Account
from tests.reconciliation.steps import backfill_all, kinds, reconcile, record_as
from tests.reconciliation.test_protection_kinds import (  # noqa: F401  # fixtures
    account,
    assert_repaired_at_broker,
    exit_order,
    live,
    orphaned,
)
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


def test_the_stop_that_ends_at_the_close_goes(account: Account, sim: SimAccount) -> None:  # noqa: F811
    """The newer one is good till cancelled: without it the position is naked from the close on."""
    newer = {"client_order_id": "ts-lasting", "submitted_at": (timezone.now() - timedelta(minutes=1)).isoformat()}
    orphaned(account, sim, position="10", orders=[{"client_order_id": "ts-day", "time_in_force": "day"}, newer])
    reconcile(account)
    assert list(kinds(account)) == ["double_protection"]
    assert_repaired_at_broker(account)
    assert live(sim) == [("stop", "10", "92")]
    assert [order["time_in_force"] for order in sim.api("GET", "/v2/orders")] == ["gtc"]


@pytest.mark.parametrize("interim", ["92", "95"], ids=["on the plan", "nearer"])
def test_the_stop_for_the_time_between_goes_once_the_entry_is_through(
    account: Account,  # noqa: F811
    sim: SimAccount,
    interim: str,
) -> None:
    """The legs of the bracket cover all: they stay, though the plan of the books is at another price."""
    group = {"order_class": "bracket", "group_id": "00000000-0000-4000-8000-000000000001"}
    target = {
        **group, "client_order_id": "ts-target", "type": "limit", "limit_price": "116", "stop_price": None,
        "group_role": "take_profit",
    }  # fmt: skip
    leg = {**group, "client_order_id": "ts-leg", "stop_price": "90", "status": "held", "group_role": "stop_loss"}
    orphaned(
        account, sim, position="10", orders=[target, leg, {"client_order_id": "ts-p-fix1-a", "stop_price": interim}]
    )
    reconcile(account)
    assert list(kinds(account)) == ["double_protection"]
    assert_repaired_at_broker(account)
    assert live(sim) == [("limit", "10", None), ("stop", "10", "90")]


def test_a_partly_filled_bracket_that_fills_keeps_its_legs(account: Account, sim: SimAccount) -> None:  # noqa: F811
    sim.price("QCOM", "100")
    raw = exit_order(
        account, sim, side="buy", type="limit", limit_price="99", stop_price=None, order_class="bracket",
        take_profit={"limit_price": "120"}, stop_loss={"stop_price": "90"},
    )  # fmt: skip
    sim.act("fill", order_id=raw["id"], qty="4", price="99")
    record_as(account, sim, sim.api("GET", f"/v2/orders/{raw['id']}"))
    reconcile(account)
    assert kinds(account) == {"partial_bracket": []}
    assert_repaired_at_broker(account)
    sim.act("fill", order_id=raw["id"], qty="6", price="99")
    sim.wait_for_status(raw["client_order_id"], "filled")
    reconcile(account)
    backfill_all(account)
    reconcile(account)
    assert list(kinds(account)) == ["double_protection"], live(sim)
    assert_repaired_at_broker(account)
    assert live(sim) == [("limit", "10", None), ("stop", "10", "90")]
