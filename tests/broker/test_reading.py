"""A read is repeated for what may pass, and then proves nothing."""

import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings

from broker.alpaca_gateway import AlpacaGateway, open_alpaca_gateway
from broker.errors import BrokerNotConfigured, BrokerUnauthorized, BrokerUnavailable, NotFound, UnreadableAnswer
from broker.gateway import Gateway, open_gateway
from broker.models import Account
from broker.types import OrderRequest
from tests.simulation import ROOT, SimAccount, wait_for

MakeOrder = Callable[..., OrderRequest]


def test_everything_there_is_can_be_read(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    placed = gateway.submit_order(order(qty=Decimal("2.5")))
    sim.wait_for_status("one", "filled")
    assert gateway.get_order(placed.broker_order_id).status == "filled"
    assert gateway.get_order_by_client_id("one").filled_qty == Decimal("2.5")
    (fill,) = gateway.fills_of(placed.broker_order_id)
    assert (fill.qty, fill.side) == (Decimal("2.5"), "buy")
    (position,) = gateway.list_positions()
    assert (position.symbol, position.qty) == ("AAPL", Decimal("2.5"))
    assert position.avg_entry_price == fill.price
    assert gateway.get_account().long_market_value > 0
    assert gateway.get_clock().is_open
    assert gateway.get_asset("AAPL").fractionable
    assert "AAPL" in {asset.symbol for asset in gateway.list_assets()}
    days = gateway.get_calendar(date(2025, 11, 26), date(2025, 11, 28))
    assert [day.day.day for day in days] == [26, 28]


def test_one_position_is_asked_for_by_name(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    with pytest.raises(NotFound):
        gateway.get_position("AAPL")
    gateway.submit_order(order(qty=Decimal("2.5")))
    sim.wait_for_status("one", "filled")
    assert gateway.get_position("AAPL").qty == Decimal("2.5")


def test_a_pair_has_one_name(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    """Alpaca's orders say BTC/USD and its positions BTCUSD."""
    gateway.submit_order(order(symbol="BTC/USD", qty=Decimal("0.5"), time_in_force="gtc"))
    sim.wait_for_status("one", "filled")
    assert [position.symbol for position in gateway.list_positions()] == ["BTC/USD"]
    assert gateway.get_position("BTC/USD").qty == Decimal("0.5")


def test_a_short_position_is_negative(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    gateway.submit_order(order(side="sell"))
    sim.wait_for_status("one", "filled")
    assert gateway.list_positions()[0].qty == -3


def test_a_pair_with_a_slash_is_found(gateway: AlpacaGateway) -> None:
    assert gateway.get_asset("BTC/USD").symbol == "BTC/USD"


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 504}),
        ("status", {"status": 503, "body": {"code": 1, "message": "later"}}),
        ("drop_answer", {}),
        ("garbage", {}),
        ("garbage", {"body": "<html></html>"}),
        ("truncated_body", {}),
        ("truncated_body", {"close": True}),
    ],
)
def test_a_read_survives_what_passes(
    gateway: AlpacaGateway, sim: SimAccount, pauses: list[float], fault: str, options: dict[str, Any]
) -> None:
    sim.fault(fault, "GET", "/v2/account", times=2, **options)
    assert gateway.get_account().status == "ACTIVE"
    assert gateway.calls == len(sim.requests("GET", "/v2/account")) == 3
    assert len(pauses) == 2
    assert 0 < pauses[0] < 1
    assert 0 < pauses[1] < 2


@pytest.mark.parametrize("fault", ["status", "drop_answer", "garbage", "truncated_body"])
def test_a_read_that_never_succeeds_is_unavailable(gateway: AlpacaGateway, sim: SimAccount, fault: str) -> None:
    sim.fault(fault, "GET", "/v2/positions", times=None)
    if fault == "truncated_body":
        sim.manual_order(symbol="AAPL", side="buy", qty="1")
    with pytest.raises(BrokerUnavailable, match="GET /v2/positions"):
        gateway.list_positions()
    assert gateway.calls == 3


def test_a_server_that_hangs_is_left_in_time(sim_account: Account, sim: SimAccount, settings: LazySettings) -> None:
    settings.BROKER_READ_TIMEOUT = 0.2
    sim.fault("hang", "GET", "/v2/clock", times=None)
    gateway = open_alpaca_gateway(sim_account)
    gateway._sleep = lambda _seconds: None
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="took too long"):
        gateway.get_clock()
    assert time.monotonic() - started < 3


def test_the_failure_names_the_call_the_status_and_the_request(gateway: AlpacaGateway, sim: SimAccount) -> None:
    sim.fault("status", "GET", times=None, status=503, headers={"X-Request-ID": "8c1f"})
    with pytest.raises(BrokerUnavailable, match=r"GET /v2/account \(HTTP 503, request 8c1f\)") as caught:
        gateway.get_account()
    assert caught.value.status == 503


@pytest.mark.parametrize("status", [400, 403, 418, 302])
def test_a_refused_read_is_not_repeated(gateway: AlpacaGateway, sim: SimAccount, status: int) -> None:
    sim.fault("status", "GET", times=None, status=status, body={"code": 1, "message": "no"})
    with pytest.raises(BrokerUnavailable, match="no"):
        gateway.get_account()
    assert gateway.calls == 1


def test_wrong_keys_are_named_and_not_repeated(sim_account: Account, settings: LazySettings) -> None:
    settings.ALPACA_API_KEY = "unauthorized"
    gateway = open_alpaca_gateway(sim_account)
    with pytest.raises(BrokerUnauthorized, match="key pair"):
        gateway.get_account()
    assert gateway.calls == 1


def test_an_order_that_alpaca_does_not_know_is_not_found(gateway: AlpacaGateway) -> None:
    with pytest.raises(NotFound, match="order not found"):
        gateway.get_order("00000000-0000-0000-0000-000000000000")
    with pytest.raises(NotFound):
        gateway.get_order_by_client_id("nothing / like ? it & so")
    with pytest.raises(NotFound):
        gateway.get_asset("NOSUCH")
    assert gateway.calls == 3


@pytest.mark.parametrize(
    "options",
    [
        {"html": True},
        {"body": {"code": 40410000, "message": "endpoint not found"}},
        {"body": {"message": "no route matched"}},
        {"body": {"code": 999, "message": "order not found"}},
    ],
)
def test_a_404_that_says_nothing_of_the_order_proves_nothing(
    gateway: AlpacaGateway, sim: SimAccount, options: dict[str, Any]
) -> None:
    sim.fault("status", "GET", times=None, status=404, **options)
    with pytest.raises(BrokerUnavailable):
        gateway.get_order_by_client_id("one")


def test_a_list_that_is_not_found_proves_nothing(gateway: AlpacaGateway, sim: SimAccount) -> None:
    sim.fault(
        "status", "GET", "/v2/positions", status=404, body={"code": 40410000, "message": "position does not exist"}
    )
    with pytest.raises(BrokerUnavailable):
        gateway.list_positions()


@pytest.mark.parametrize("body", ["{}", "null", '"ok"', '[{"symbol": "QCOM"}]', "[null]"])
def test_a_list_with_an_unreadable_row_is_no_list(gateway: AlpacaGateway, sim: SimAccount, body: str) -> None:
    sim.fault("garbage", "GET", "/v2/positions", times=None, body=body)
    with pytest.raises(UnreadableAnswer):
        gateway.list_positions()


def test_the_answer_about_another_order_is_not_taken(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    placed = gateway.submit_order(order("other"))
    other = sim.order("other")
    sim.fault("status", "GET", times=None, status=200, body=other)
    with pytest.raises(UnreadableAnswer):
        gateway.get_order_by_client_id("one")
    with pytest.raises(UnreadableAnswer):
        gateway.get_order("00000000-0000-0000-0000-000000000000")
    assert gateway.get_order(placed.broker_order_id).client_order_id == "other"


def test_a_read_waits_out_a_429(gateway: AlpacaGateway, sim: SimAccount) -> None:
    sim.fault("status", "GET", status=429, headers={"Retry-After": "1"})
    started = time.monotonic()
    assert gateway.get_account()
    assert time.monotonic() - started >= 0.9
    assert gateway.calls == 2


def test_a_read_under_429_without_end_is_unavailable(gateway: AlpacaGateway, sim: SimAccount) -> None:
    sim.fault("status", "GET", times=None, status=429, headers={"Retry-After": "0"})
    with pytest.raises(BrokerUnavailable, match="429"):
        gateway.get_account()
    assert gateway.calls == 3


def test_unknown_words_do_not_break_a_list(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    gateway.submit_order(order())
    sim.wait_for_status("one", "filled")
    sim.fault("unknown_status", "GET", "/v2/orders", times=None, status="bewitched")
    statuses = [o.status for page in gateway.orders_since(None) for o in page.orders]
    assert statuses == ["bewitched"]


def test_a_slow_drip_is_cut_off(sim_account: Account, settings: LazySettings) -> None:
    """Each byte comes in time, but the answer as a whole does not."""
    with dripping() as url:
        settings.ALPACA_BASE_URL, settings.BROKER_READ_TIMEOUT = url, 0.3
        gateway = open_alpaca_gateway(sim_account)
        gateway._sleep = lambda _seconds: None
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            gateway.get_account()
        assert time.monotonic() - started < 5


@contextmanager
def dripping() -> Iterator[str]:
    stop = threading.Event()

    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    self.request.sendall(b" ")
                except OSError:
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            stop.set()
            server.shutdown()
            thread.join()


def test_each_thread_may_have_a_gateway_of_its_own(sim_account: Account, transactional_db: None) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(open_gateway(sim_account).get_account().account_id))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1


def test_an_account_that_is_switched_off_is_not_asked(sim_account: Account) -> None:
    sim_account.is_active = False
    with pytest.raises(BrokerNotConfigured, match="switched off"):
        open_gateway(sim_account)


def test_the_gateway_keeps_its_promise(gateway: AlpacaGateway) -> None:
    promised: Gateway = gateway
    assert promised.calls == 0


def test_alpaca_py_is_not_imported_before_it_is_needed() -> None:
    program = (
        "import django, sys; django.setup(); import broker.gateway, broker.accounts, broker.mapping, broker.admin;"
        "print([name for name in ('alpaca', 'pandas', 'requests') if name in sys.modules])"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_lagging_position_is_read_as_it_is(gateway: AlpacaGateway, sim: SimAccount, order: MakeOrder) -> None:
    """Positions may lag behind fills: the gateway says what Alpaca says, and judges nothing."""
    sim.fault("positions_lag", "GET", "/v2/positions", times=None, seconds=30)
    gateway.submit_order(order())
    sim.wait_for_status("one", "filled")
    assert gateway.list_positions() == []
    sim.clear_faults()
    assert wait_for(gateway.list_positions, "the position")[0].qty == 3
