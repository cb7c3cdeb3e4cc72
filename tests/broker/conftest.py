"""A gateway to the simulator whose waits are noted instead of waited."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from broker.alpaca_gateway import AlpacaGateway, open_alpaca_gateway
from broker.models import Account
from broker.types import OrderRequest


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def gateway(sim_account: Account, pauses: list[float]) -> AlpacaGateway:
    opened = open_alpaca_gateway(sim_account)
    opened._sleep = pauses.append
    return opened


@pytest.fixture
def order() -> Callable[..., OrderRequest]:
    def make(client_order_id: str = "one", **changes: Any) -> OrderRequest:
        fields = {"symbol": "AAPL", "side": "buy", "order_type": "market", "time_in_force": "day", "qty": Decimal(3)}
        return OrderRequest(client_order_id=client_order_id, **{**fields, **changes})

    return make
