"""Without a price nobody can say whether a stop would sell at once: none leaves, and the reason is kept."""

import json

import pytest

from tests.orders.conftest import posts
from tests.orders.test_changing import asked, carry_out, want
from tests.orders.test_changing_too_late import stop  # noqa: F401  # fixture
from tests.orders.test_protecting import held, protect, send  # noqa: F401  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


def hide_price(sim):
    """Alpaca tells the position, but not what it is worth."""
    row = {**sim.api("GET", "/v2/positions/QCOM"), "current_price": None, "market_value": None}
    sim.fault("status", "GET", "/v2/positions/QCOM", status=200, body=json.dumps(row), times=None)


def test_no_stop_is_sent(sim, held):  # noqa: F811
    order = protect(held)
    hide_price(sim)
    send(held)
    order.refresh_from_db()
    assert (order.submission_state, posts(sim)) == ("denied", [])
    assert order.refusal.startswith("Alpaca tells no price of QCOM")


def test_no_stop_is_moved(sim, stop):  # noqa: F811
    change = want(stop, stop_price="95")
    hide_price(sim)
    assert (carry_out(change), asked(sim)) == ("refused", [])
    assert change.outcome.startswith("Alpaca tells no price of QCOM")


def test_what_moves_no_stop_needs_no_price(sim, stop):  # noqa: F811
    change = want(stop, qty="8")
    hide_price(sim)
    carry_out(change)
    assert len(asked(sim)) == 1
