"""What stocks cost now: read from the market-data host, patiently, and never at the cost of trading."""

from decimal import Decimal
from urllib.parse import parse_qs

import pytest
from django.conf import LazySettings

from broker.alpaca_gateway import AlpacaGateway
from broker.errors import BrokerUnauthorized, BrokerUnavailable, UnreadableAnswer
from broker.models import RequestBudget
from tests.simulation import SimAccount

PATH = "/v2/stocks/trades/latest"
NOWHERE = "http://127.0.0.1:9"


def test_prices_keep_their_digits_and_unknown_symbols_are_left_out(gateway: AlpacaGateway, sim: SimAccount) -> None:
    sim.price("AAPL", "190.75")
    sim.price("F", "0.1234")
    prices = gateway.latest_prices({"AAPL", "NOSUCH", "F"})
    assert prices == {"AAPL": Decimal("190.75"), "F": Decimal("0.1234")}
    assert all(type(price) is Decimal for price in prices.values())
    assert gateway.calls == 1


def test_nothing_wanted_asks_nobody(gateway: AlpacaGateway) -> None:
    assert gateway.latest_prices([]) == {}
    assert gateway.calls == 0


def test_at_most_a_hundred_symbols_are_asked_for_at_once(gateway: AlpacaGateway, sim: SimAccount) -> None:
    symbols = {f"X{number}" for number in range(199)} | {"AAPL", "MSFT"}
    assert set(gateway.latest_prices(symbols)) == {"AAPL", "MSFT"}
    asked = [parse_qs(request["query"])["symbols"][0].split(",") for request in sim.requests("GET", PATH)]
    assert [len(some) for some in asked] == [100, 100, 1]
    assert {symbol for some in asked for symbol in some} == symbols


def test_the_trading_budget_is_not_spent(gateway: AlpacaGateway, sim: SimAccount, pauses: list[float]) -> None:
    sim.fault("status", "GET", PATH, times=None, status=429, headers={"Retry-After": "60"})
    with pytest.raises(BrokerUnavailable, match="429"):
        gateway.latest_prices({"AAPL"})
    assert (gateway.calls, len(pauses)) == (3, 2)
    assert not RequestBudget.objects.exists()
    assert gateway.get_account()
    row = RequestBudget.objects.get()
    assert row.blocked_until is None, "a 429 of the market data does not stop trading"


@pytest.mark.parametrize("fault", ["status", "garbage", "drop_answer", "truncated_body"])
def test_a_read_that_fails_once_is_repeated(gateway: AlpacaGateway, sim: SimAccount, fault: str) -> None:
    sim.fault(fault, "GET", PATH)
    assert gateway.latest_prices({"AAPL"})["AAPL"] > 0
    assert gateway.calls == 2


def test_the_data_host_is_another_than_that_of_trading(gateway: AlpacaGateway, settings: LazySettings) -> None:
    settings.ALPACA_DATA_URL = NOWHERE
    with pytest.raises(BrokerUnavailable, match="stocks/trades/latest"):
        gateway.latest_prices({"AAPL"})
    assert gateway.get_account(), "trading goes on"


def test_a_hanging_data_host_is_given_up(gateway: AlpacaGateway, sim: SimAccount, settings: LazySettings) -> None:
    settings.BROKER_READ_TIMEOUT = 0.2
    sim.fault("hang", "GET", PATH, times=None)
    with pytest.raises(BrokerUnavailable, match="too long"):
        gateway.latest_prices({"AAPL"})
    assert gateway.calls == 3


@pytest.mark.parametrize(
    ("status", "error"), [(401, BrokerUnauthorized), (403, BrokerUnavailable), (404, BrokerUnavailable)]
)
def test_a_refusal_is_not_repeated(
    gateway: AlpacaGateway, sim: SimAccount, status: int, error: type[Exception]
) -> None:
    sim.fault(
        "status", "GET", PATH, times=None, status=status, body={"code": 40410000, "message": "not found"}
    )  # fmt: skip
    with pytest.raises(error):
        gateway.latest_prices({"AAPL"})
    assert gateway.calls == 1


@pytest.mark.parametrize("body", ["[]", "{}", '{"trades": []}', '{"trades": {"AAPL": {"p": 0}}}'])
def test_an_answer_without_prices_is_unreadable(gateway: AlpacaGateway, sim: SimAccount, body: str) -> None:
    sim.fault("garbage", "GET", PATH, times=None, body=body)
    with pytest.raises(UnreadableAnswer):
        gateway.latest_prices({"AAPL"})
