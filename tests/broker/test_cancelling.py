"""A cancel is asked for once, and what is unknown of it is not guessed."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from broker.alpaca_gateway import AlpacaGateway
from broker.errors import BrokerError, BrokerUnauthorized, CancelRejected, NotFound, OutcomeUnknown, RateLimited
from broker.types import OrderRequest
from tests.simulation import SimAccount

MakeOrder = Callable[..., OrderRequest]


def test_a_cancel_is_asked_once(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    placed = gateway.submit_order(order(order_type="limit", limit_price=Decimal(1)))
    gateway.cancel_order(placed.broker_order_id)
    sim.wait_for_status("one", "canceled")
    with pytest.raises(CancelRejected, match="canceled"):
        gateway.cancel_order(placed.broker_order_id)
    with pytest.raises(NotFound):
        gateway.cancel_order("00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize(("status", "error"), [(504, OutcomeUnknown), (401, BrokerUnauthorized), (429, RateLimited)])
def test_what_is_unknown_of_a_cancel_is_not_guessed(
    gateway: AlpacaGateway, sim: SimAccount, status: int, error: type[BrokerError]
) -> None:
    sim.fault("status", "DELETE", status=status)
    with pytest.raises(error):
        gateway.cancel_order("00000000-0000-0000-0000-000000000000")
    assert len(sim.requests("DELETE")) == 1
