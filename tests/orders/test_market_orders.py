"""Buying power and dollar limits hold for orders at the market too: before anything is recorded."""

import io
import json

import pytest
from django.core.management import call_command
from django.utils import timezone

from orders.checking import check_batch
from orders.models import Batch, Order
from tests.orders.conftest import posts

pytestmark = pytest.mark.django_db(transaction=True)

LATEST = "/v2/stocks/trades/latest"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def prices(sim):
    sim.price("AAPL", "200")
    sim.price("MSFT", "400.5")


def check(account, *lines, header="symbol,side,qty"):
    text = "\n".join((header, *lines))
    return check_batch(account=account, data=text.encode(), filename="orders.csv", now=timezone.now())


def limited(account, **limits):
    for name, value in limits.items():
        setattr(account, name, value)
    account.save()


def test_a_market_order_over_the_limit_of_one_order_is_an_error(sim_account):
    limited(sim_account, max_order_notional="1000")
    [error] = check(sim_account, "AAPL,buy,5", "MSFT,buy,3").errors
    assert str(error) == (
        "line 3, qty: expected an order of at most $1,000.00, found $1,201.50 (3 × $400.50, the latest trade)"
    )


def test_a_short_sale_at_the_market_is_held_to_the_limit_of_one_order(sim_account):
    limited(sim_account, max_order_notional="1000")
    [error] = check(sim_account, "AAPL,sell,6").errors
    assert (error.line, error.field) == (2, "qty")
    assert "found $1,200.00 (6 × $200.00, the latest trade)" in error.message


def test_market_orders_over_the_limit_of_a_batch_are_an_error(sim_account):
    limited(sim_account, max_batch_notional="2000")
    [error] = check(sim_account, "AAPL,buy,7", "MSFT,buy,1", "AAPL,buy,1").errors
    assert str(error) == (
        "line 4, qty: expected buys in a batch within its limit of $2,000.00, found $2,000.50 in all; "
        "this order goes over it: $200.00 (1 × $200.00, the latest trade)"
    )


def test_market_orders_over_the_buying_power_are_an_error(sim, sim_account):
    power = float(sim.api("GET", "/v2/account")["buying_power"])
    limited(sim_account, max_order_notional="10000000", max_batch_notional="10000000")
    shares = int(power // 200)
    assert check(sim_account, f"AAPL,buy,{shares}").is_usable
    [error] = check(sim_account, f"AAPL,buy,{shares}", "MSFT,buy,1").errors
    assert (error.line, error.field) == (3, "qty")
    assert error.message.startswith(f"expected buys within the buying power of ${power:,.2f}, found ")
    assert "(1 × $400.50, the latest trade)" in error.message


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("AAPL,buy,1,stop,150,", "$200.00 (1 × $200.00, the latest trade)"),
        ("AAPL,buy,1,stop,250.5,", "$250.50 (1 × $250.50, its stop price)"),
        ("AAPL,sell,1,stop,150,", "$200.00 (1 × $200.00, the latest trade)"),
        ("AAPL,buy,1,trailing_stop,,5", "$200.00 (1 × $200.00, the latest trade)"),
    ],
)
def test_stops_without_a_limit_price_cost_what_the_stock_does(sim_account, line, found):
    limited(sim_account, max_order_notional="100")
    [error] = check(sim_account, line, header="symbol,side,qty,order_type,stop_price,trail_percent").errors
    assert error.message == f"expected an order of at most $100.00, found {found}"


def test_orders_with_a_limit_price_or_dollars_need_no_market_data(sim, sim_account):
    header = "symbol,side,qty,notional,order_type,limit_price"
    assert check(sim_account, "AAPL,buy,1,,limit,150", "MSFT,buy,,50,market,", header=header).notional == 200
    assert sim.requests("GET", LATEST) == []


def test_the_symbols_of_market_orders_are_asked_for_at_once(sim, sim_account):
    assert check(sim_account, "AAPL,buy,1", "AAPL,buy,2", "MSFT,buy,1", "NOSUCH,buy,1").notional == 1000.5
    [request] = sim.requests("GET", LATEST)
    assert request["query"] == "symbols=AAPL%2CMSFT"


def test_without_the_data_host_a_batch_is_usable_with_a_warning(sim_account, settings):
    limited(sim_account, max_order_notional="1000")
    settings.ALPACA_DATA_URL = NOWHERE
    checked = check(sim_account, "AAPL,buy,6")
    assert checked.is_usable
    [warning] = checked.warnings
    assert warning.startswith("No price is known for AAPL: dollar limits and buying power could not be checked. ")
    assert "The latest trades could not be read: " in warning
    assert checked.notional == 0


def test_a_data_host_that_refuses_the_keys_does_not_stop_trading(sim, sim_account):
    sim.fault("status", "GET", LATEST, status=401, body={"message": "unauthorized."})
    checked = check(sim_account, "AAPL,buy,6")
    assert checked.is_usable
    assert "does not accept the key pair" in checked.warnings[0]


def test_without_the_data_host_the_position_held_has_a_price(sim, sim_account, settings):
    order = {"symbol": "AAPL", "side": "buy", "qty": "1", "type": "market", "time_in_force": "day"}
    sim.api("POST", "/v2/orders", json=order | {"client_order_id": "held"})
    sim.wait_for_status("held", "filled")
    limited(sim_account, max_order_notional="1000")
    settings.ALPACA_DATA_URL = NOWHERE
    [error] = check(sim_account, "AAPL,buy,6").errors
    assert error.message.endswith("found $1,200.00 (6 × $200.00, the price of the position held)")


def test_a_symbol_that_never_traded_is_said(sim, sim_account):
    sim.fault("garbage", "GET", LATEST, body='{"trades": {}}')
    [warning] = check(sim_account, "AAPL,buy,6").warnings
    assert warning == "No price is known for AAPL: dollar limits and buying power could not be checked."


def test_submit_batch_names_the_line_and_records_nothing(sim, sim_account, tmp_path, capsys):
    limited(sim_account, max_order_notional="1000")
    path = tmp_path / "orders.csv"
    path.write_text("symbol,side,qty\nMSFT,buy,1\nAAPL,buy,6\n")
    out = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("submit_batch", str(path), "--json", stdout=out)
    assert end.value.code == 2
    message = "expected an order of at most $1,000.00, found $1,200.00 (6 × $200.00, the latest trade)"
    assert f"orders.csv: line 3, qty: {message}\n" in capsys.readouterr().err
    document = json.loads(out.getvalue())
    assert document["errors"] == [{"line": 3, "field": "qty", "message": message}]
    assert not Batch.objects.exists()
    assert not Order.objects.exists()
    assert posts(sim) == []
