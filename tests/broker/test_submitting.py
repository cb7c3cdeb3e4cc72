"""What each answer to a submit means. Nothing is ever sent twice, and "rejected" is said only when it is certain."""

import socket
import ssl
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings

from broker.alpaca_gateway import AlpacaGateway, open_alpaca_gateway
from broker.errors import (
    BrokerError,
    BrokerUnauthorized,
    BrokerUnavailable,
    DuplicateClientOrderId,
    NotSent,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
)
from broker.models import Account
from broker.types import OrderRequest
from tests.simulation import SimAccount

ORDERS = "/v2/orders"
MakeOrder = Callable[..., OrderRequest]


def posts(sim: SimAccount) -> int:
    return len(sim.requests("POST", ORDERS))


def test_an_accepted_order_comes_back_with_its_id(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    placed = gateway.submit_order(order(qty=Decimal("1.123456789")))
    assert placed.client_order_id == "one"
    assert placed.qty == Decimal("1.123456789")
    assert sim.order("one")["id"] == placed.broker_order_id
    assert (posts(sim), gateway.calls) == (1, 1)


def test_a_bracket_arrives_with_its_legs(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    sim.price("AAPL", "200")
    exits = {"take_profit_limit_price": Decimal("232"), "stop_loss_stop_price": Decimal("184")}
    placed = gateway.submit_order(order(order_class="bracket", **exits))
    assert (placed.order_class, len(placed.leg_ids)) == ("bracket", 2)


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("drop_answer", {}),
        ("status_after_accept", {"status": 504}),
        ("status_after_accept", {"status": 500, "body": ""}),
        ("status_after_accept", {"status": 404, "body": {"code": 40410000, "message": "order not found"}}),
        ("garbage", {}),
        ("garbage", {"body": "{}"}),
        ("garbage", {"body": "[]"}),
        ("garbage", {"body": ""}),
        ("hang", {"accept": True}),
        ("delay_answer", {"seconds": 5}),
        ("truncated_body", {}),
        ("truncated_body", {"close": True}),
    ],
)
def test_an_order_that_was_taken_without_a_whole_answer_is_unknown(
    sim_account: Account,
    settings: LazySettings,
    sim: SimAccount,
    order: MakeOrder,
    fault: str,
    options: dict[str, Any],
) -> None:
    settings.BROKER_READ_TIMEOUT = 0.4
    sim.fault(fault, "POST", ORDERS, **options)
    with pytest.raises(OutcomeUnknown):
        open_alpaca_gateway(sim_account).submit_order(order())
    assert posts(sim) == 1
    assert sim.order("one")["client_order_id"] == "one"


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (500, {}),
        (502, {}),
        (503, {"body": {"code": 50010000, "message": "internal server error"}}),
        (504, {}),
        (400, {"body": {"code": 40010000, "message": "request body format is invalid"}}),
        (404, {"body": {"code": 40410000, "message": "endpoint not found"}}),
        (405, {"html": True}),
        (409, {"body": {"code": 40910000, "message": "client_order_id must be unique"}}),
        (418, {"body": {"code": 41810000, "message": "I am a teapot"}}),
        (403, {"html": True}),
        (403, {"body": {"message": "forbidden."}}),
        (403, {"body": ["no"]}),
        (422, {"html": True}),
        (302, {"headers": {"Location": "/v2/account"}}),
    ],
)
def test_an_answer_that_says_neither_yes_nor_no_is_unknown(
    gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder, status: int, options: dict[str, Any]
) -> None:
    sim.fault("status", "POST", ORDERS, status=status, **options)
    with pytest.raises(OutcomeUnknown, match=f"HTTP {status}"):
        gateway.submit_order(order())
    assert (posts(sim), gateway.calls) == (1, 1)


def test_no_answer_at_all_is_unknown(
    sim_account: Account, settings: LazySettings, sim: SimAccount, order: MakeOrder
) -> None:
    settings.BROKER_READ_TIMEOUT = 0.4
    sim.fault("hang", "POST", ORDERS)
    with pytest.raises(OutcomeUnknown, match="took too long"):
        open_alpaca_gateway(sim_account).submit_order(order())
    assert posts(sim) == 1


def test_the_answer_to_another_order_is_unknown(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    gateway.submit_order(order("other"))
    sim.fault("status_after_accept", "POST", ORDERS, status=200, body=sim.order("other"))
    with pytest.raises(OutcomeUnknown, match="another order"):
        gateway.submit_order(order())
    assert posts(sim) == 2


def test_a_second_order_under_the_same_id_is_a_duplicate(
    gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder
) -> None:
    gateway.submit_order(order())
    with pytest.raises(DuplicateClientOrderId):
        gateway.submit_order(order())
    assert posts(sim) == 2


def test_a_refusal_for_money_is_a_rejection(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    with pytest.raises(OrderRejected, match=r"insufficient buying power \(40310000\)") as caught:
        gateway.submit_order(order(qty=Decimal(1_000_000)))
    assert caught.value.code == 40310000
    assert posts(sim) == 1


def test_a_refusal_for_its_terms_is_a_rejection(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    with pytest.raises(OrderRejected, match="sub-penny"):
        gateway.submit_order(order(order_type="limit", limit_price=Decimal("290.123")))
    assert posts(sim) == 1


def test_a_refusal_under_the_duplicates_code_is_still_a_rejection(
    gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder
) -> None:
    body = {"code": 40010001, "message": "qty or notional is required"}
    sim.fault("status", "POST", ORDERS, status=422, body=body)
    with pytest.raises(OrderRejected, match="qty or notional"):
        gateway.submit_order(order())


@pytest.mark.parametrize("body", [{"message": "unauthorized."}, "<html>401</html>"])
def test_wrong_keys_are_named_as_such(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder, body: Any) -> None:
    sim.fault("status", "POST", ORDERS, status=401, body=body)
    with pytest.raises(BrokerUnauthorized, match="key pair"):
        gateway.submit_order(order())
    assert posts(sim) == 1


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "7"}, 7, 7),
        ({"X-RateLimit-Reset": "1"}, 5, 5),
        ({}, 5, 5),
        ({"Retry-After": "99999"}, 120, 120),
        ({"Retry-After": "-3"}, 0.1, 0.1),
        ({"Retry-After": "soon"}, 5, 5),
        ({"Retry-After": "nan"}, 5, 5),
    ],
)
def test_too_many_requests_may_be_sent_again_later(
    gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder, headers: dict[str, str], least: float, most: float
) -> None:
    sim.fault("status", "POST", ORDERS, status=429, headers=headers)
    with pytest.raises(RateLimited) as caught:
        gateway.submit_order(order())
    assert least <= caught.value.retry_after <= most
    assert posts(sim) == 1


def test_after_too_many_requests_nothing_more_is_sent_for_a_while(
    gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder
) -> None:
    sim.fault("status", "POST", ORDERS, status=429, headers={"Retry-After": "30"})
    with pytest.raises(RateLimited):
        gateway.submit_order(order())
    with pytest.raises(RateLimited, match="spent"):
        gateway.submit_order(order())
    assert posts(sim) == 1


def test_an_unknown_status_word_is_kept(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    sim.fault("unknown_status", "POST", ORDERS, status="bewitched")
    assert gateway.submit_order(order()).status == "bewitched"


def reached_at(account: Account, settings: LazySettings, url: str) -> AlpacaGateway:
    settings.ALPACA_BASE_URL = url
    settings.BROKER_CONNECT_TIMEOUT = 0.3
    return open_alpaca_gateway(account)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def test_a_refused_connection_means_not_sent(
    sim_account: Account, settings: LazySettings, order: MakeOrder, listener: socket.socket
) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"  # bound, but nobody listens
    with pytest.raises(NotSent, match="refused"):
        reached_at(sim_account, settings, url).submit_order(order())


def test_a_connection_that_is_never_made_means_not_sent(
    sim_account: Account, settings: LazySettings, order: MakeOrder, listener: socket.socket
) -> None:
    listener.listen(0)
    address = listener.getsockname()
    waiting = [socket.socket() for _ in range(4)]
    for each in waiting:  # fill the queue that nobody empties
        each.setblocking(False)
        each.connect_ex(address)
    with pytest.raises(NotSent, match="too long"):
        reached_at(sim_account, settings, f"http://127.0.0.1:{address[1]}").submit_order(order())
    for each in waiting:
        each.close()


@pytest.mark.parametrize("url", ["http://no-such-host.invalid", "ftp://127.0.0.1", "127.0.0.1:1", "http://"])
def test_an_address_that_leads_nowhere_means_not_sent(
    sim_account: Account, settings: LazySettings, order: MakeOrder, url: str
) -> None:
    with pytest.raises(NotSent):
        reached_at(sim_account, settings, url).submit_order(order())


def test_only_a_refused_certificate_is_known_to_come_before_the_request() -> None:
    from requests.exceptions import SSLError
    from urllib3.exceptions import MaxRetryError
    from urllib3.exceptions import SSLError as TransportError

    from broker.alpaca_client import was_not_sent

    def failed(reason: Exception) -> SSLError:
        return SSLError(MaxRetryError(None, "/", TransportError(reason)))  # type: ignore[arg-type]

    assert was_not_sent(failed(ssl.SSLCertVerificationError("self-signed")))
    assert not was_not_sent(failed(ssl.SSLError("bad record mac")))


def test_no_error_holds_a_secret(
    sim_account: Account, settings: LazySettings, sim: SimAccount, order: MakeOrder
) -> None:
    settings.ALPACA_SECRET_KEY = "very-secret"
    sim.fault("status", status=500, times=None)
    gateway = open_alpaca_gateway(sim_account)
    gateway._sleep = lambda _seconds: None
    calls: list[Callable[[], object]] = [lambda: gateway.submit_order(order()), gateway.get_account]
    for call in calls:
        with pytest.raises(BrokerError) as caught:
            call()
        assert "very-secret" not in str(caught.value)
        assert sim.key_id not in str(caught.value)


def test_not_sent_is_also_an_unavailable_broker() -> None:
    assert issubclass(NotSent, BrokerUnavailable)
