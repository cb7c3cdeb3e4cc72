"""A change that waited: the position and the price are looked at once more before it leaves, as before an order."""

import pytest
from django.utils import timezone

from broker.mapping import to_order
from orders.booking import import_order
from tests.orders.test_changing import asked, at_broker, carry_out, settle, want

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.NOT_PLACED_AFTER_SECONDS = 0.5


@pytest.fixture
def stop(sim, sim_account):
    """10 QCOM held at 100, with a stop for all of them at 90."""
    sim.price("QCOM", "100")
    bought = sim.manual_order(symbol="QCOM", side="buy", qty="10", type="market", time_in_force="day")
    sim.wait_for_status(bought["client_order_id"], "filled")
    raw = sim.manual_order(symbol="QCOM", side="sell", qty="10", type="stop", stop_price="90", time_in_force="gtc")
    raw = sim.wait_for_status(raw["client_order_id"], "new")
    return import_order(account=sim_account, facts=to_order(raw), origin="protection", now=timezone.now(), actor="test")


def test_a_stop_is_not_moved_beyond_the_price_of_now(sim, stop):
    """Approved at 100: to 95. When it can leave, the price is 93: it would sell at once."""
    change = want(stop, stop_price="95")
    sim.price("QCOM", "93")
    assert carry_out(change) == "refused"
    assert "93" in change.outcome
    assert (asked(sim), at_broker(sim, stop)["status"]) == ([], "new")


def test_a_stop_is_still_moved_on_the_right_side(sim, stop):
    sim.price("QCOM", "97")
    assert settle(want(stop, stop_price="95")) == "done"


def test_a_stop_grows_for_no_shares_that_are_gone(sim, stop):
    change = want(stop, qty="12")
    assert carry_out(change) == "refused"
    assert "10" in change.outcome
    assert asked(sim) == []
