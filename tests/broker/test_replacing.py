"""A replacement is asked for once, under an id of ours, and what is unknown of it is not guessed."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from broker.alpaca_gateway import AlpacaGateway
from broker.errors import (
    BrokerError,
    BrokerUnauthorized,
    DuplicateClientOrderId,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ReplaceRejected,
)
from broker.types import BrokerOrder, OrderRequest, Replacement
from tests.simulation import SimAccount

MakeOrder = Callable[..., OrderRequest]
NOWHERE = "00000000-0000-0000-0000-000000000000"
DEARER = Replacement(client_order_id="two", limit_price=Decimal("1.50"))


@pytest.fixture
def placed(gateway: AlpacaGateway, order: MakeOrder) -> BrokerOrder:
    return gateway.submit_order(order(order_type="limit", limit_price=Decimal(1)))


def test_the_new_order_has_its_own_id_and_ours(gateway: AlpacaGateway, sim: SimAccount, placed: BrokerOrder) -> None:
    sim.wait_for_status("one", "new")
    new = gateway.replace_order(placed.broker_order_id, DEARER)
    assert new.broker_order_id != placed.broker_order_id
    assert (new.client_order_id, new.replaces, new.limit_price) == ("two", placed.broker_order_id, Decimal("1.5"))
    assert gateway.get_order(placed.broker_order_id).replaced_by == new.broker_order_id
    with pytest.raises(ReplaceRejected, match="already replaced"):
        gateway.replace_order(placed.broker_order_id, Replacement(client_order_id="three", limit_price=Decimal(2)))
    with pytest.raises(DuplicateClientOrderId):
        gateway.replace_order(new.broker_order_id, Replacement(client_order_id="two", limit_price=Decimal(2)))
    with pytest.raises(NotFound):
        gateway.replace_order(NOWHERE, DEARER)


@pytest.mark.parametrize(
    ("fault", "options", "error"),
    [
        ("status", {"status": 504}, OutcomeUnknown),
        ("status", {"status": 401}, BrokerUnauthorized),
        ("status", {"status": 429}, RateLimited),
        ("drop_answer", {}, OutcomeUnknown),
        ("garbage", {}, OutcomeUnknown),
        ("status_after_accept", {"status": 504}, OutcomeUnknown),
    ],
)
def test_what_is_unknown_is_not_guessed_and_nothing_is_sent_twice(
    gateway: AlpacaGateway, sim: SimAccount, placed: BrokerOrder, fault: str, options: dict[str, Any],
    error: type[BrokerError],
) -> None:  # fmt: skip
    sim.wait_for_status("one", "new")
    sim.fault(fault, "PATCH", **options)
    with pytest.raises(error):
        gateway.replace_order(placed.broker_order_id, DEARER)
    assert len(sim.requests("PATCH")) == 1
