"""Bracket, OCO and OTO in a batch file: each contradiction is named, a good one reaches Alpaca with its exits."""

from decimal import Decimal

import pytest
from django.utils import timezone

from broker.models import Account
from orders.batch_file import as_csv, content_digest, read_batch_file
from orders.batch_line import Line
from orders.checking import check_batch
from orders.models import Order
from orders.sending import execute_batch
from tests.orders.conftest import orders_at_broker, posts, release
from tests.simulation import SimAccount

BRACKET = {
    "symbol": "AAPL",
    "side": "buy",
    "qty": "2",
    "time_in_force": "gtc",
    "order_class": "bracket",
    "take_profit_limit_price": "400",
    "stop_loss_stop_price": "90",
    "stop_loss_limit_price": "89.5",
}
OCO = BRACKET | {"side": "sell", "order_type": "limit", "order_class": "oco"}
OTO = BRACKET | {"order_class": "oto", "take_profit_limit_price": ""}


def text_of(cells: dict[str, str]) -> str:
    return f"{','.join(cells)}\n{','.join(cells.values())}\n"


def read(cells: dict[str, str]):
    return read_batch_file(text_of(cells).encode(), "orders.csv", max_bytes=10_000, max_lines=10)


@pytest.mark.parametrize("cells", [BRACKET, OCO, OTO, BRACKET | {"order_class": "simple"}])
def test_good_lines_are_read_and_written_back(cells):
    if cells["order_class"] == "simple":
        cells = {name: value for name, value in cells.items() if "loss" not in name and "profit" not in name}
    file = read(cells)
    assert file.errors == ()
    (line,) = file.lines
    assert line.order_class == cells["order_class"].replace("simple", "")
    again = read_batch_file(as_csv([line]).encode(), "again.csv", max_bytes=10_000, max_lines=10)
    assert again.errors == ()
    assert again.lines[0].terms() == line.terms()


def test_an_oco_is_its_own_take_profit():
    (line,) = read(OCO).lines
    assert line.limit_price == line.take_profit_limit_price == Decimal(400)


@pytest.mark.parametrize(
    ("cells", "field", "message"),
    [
        (BRACKET | {"order_class": ""}, "take_profit_limit_price", "expected nothing without order_class"),
        (BRACKET | {"order_class": "mleg"}, "order_class", "expected simple, bracket, oco or oto, found 'mleg'"),
        (BRACKET | {"take_profit_limit_price": ""}, "take_profit_limit_price", "a price for a bracket order"),
        (OCO | {"stop_loss_stop_price": ""}, "stop_loss_stop_price", "a price for an oco order"),
        (OTO | {"take_profit_limit_price": "400"}, "take_profit_limit_price", "found both"),
        (OTO | {"stop_loss_stop_price": ""}, "take_profit_limit_price", "found neither"),
        (BRACKET | {"stop_loss_stop_price": ""}, "stop_loss_limit_price", "found it alone"),
        (BRACKET | {"time_in_force": "ioc"}, "time_in_force", "day or gtc for a bracket order"),
        (OCO | {"extended_hours": "true"}, "extended_hours", "expected false for an oco order"),
        (BRACKET | {"qty": "", "notional": "500"}, "notional", "whole shares"),
        (BRACKET | {"qty": "1.5", "time_in_force": "day"}, "qty", "found a part of a share"),
        (OCO | {"order_type": "market"}, "order_type", "expected limit for an oco order"),
        (BRACKET | {"order_type": "trailing_stop", "trail_percent": "2"}, "order_type", "another type"),
        (BRACKET | {"stop_loss_stop_price": "500"}, "take_profit_limit_price", "above stop_loss_stop_price 500"),
        (BRACKET | {"side": "sell"}, "take_profit_limit_price", "below stop_loss_stop_price 90"),
        (OCO | {"side": "buy"}, "take_profit_limit_price", "below stop_loss_stop_price 90"),
        (OCO | {"limit_price": "399"}, "limit_price", "expected nothing or take_profit_limit_price 400"),
        (BRACKET | {"order_type": "limit", "limit_price": "410"}, "take_profit_limit_price", "above limit_price 410"),
        (BRACKET | {"order_type": "limit", "limit_price": "80"}, "stop_loss_stop_price", "below limit_price 80"),
        (BRACKET | {"take_profit_limit_price": "400.123"}, "take_profit_limit_price", "whole cents"),
    ],
)
def test_each_contradiction_names_its_field(cells, field, message):
    found = {error.field: error.message for error in read(cells).errors}
    assert message in found[field], found


def test_the_digest_of_simple_orders_is_what_it_was_before_there_were_classes():
    line = Line(number=2, symbol="AAPL", side="buy", qty=Decimal(10))
    assert content_digest([line]) == "59b8f8bfabbfa9ac84dca3ddc7cc8aa86c1d88573dd4febe677337f1f9e2bce3"
    assert content_digest(read(BRACKET).lines) != content_digest(read(BRACKET | {"stop_loss_stop_price": "91"}).lines)


@pytest.mark.django_db
@pytest.mark.parametrize(("cells", "held"), [(OCO, "shares held, since"), (OCO | {"side": "buy"}, "held short")])
def test_an_oco_closes_what_is_held_and_no_more(sim_account: Account, cells: dict[str, str], held: str):
    if cells["side"] == "buy":
        cells = cells | {"take_profit_limit_price": "80"}
    data = text_of(cells | {"stop_loss_limit_price": ""}).encode()
    checked = check_batch(account=sim_account, data=data, filename="orders.csv", now=timezone.now())
    assert [error.field for error in checked.errors] == ["qty"]
    assert held in checked.errors[0].message


@pytest.mark.django_db(transaction=True)
def test_a_bracket_is_sent_with_its_exits_and_its_legs_are_in_the_books(sim_account: Account, sim: SimAccount):
    batch = release(sim_account, text_of(BRACKET))
    execute_batch(batch_id=batch.pk, now=timezone.now())
    assert len(posts(sim)) == 1
    assert {order["order_class"] for order in orders_at_broker(sim)} == {"bracket"}
    parent = batch.orders.get()
    assert parent.submission_state == "confirmed"
    legs = Order.objects.filter(account=sim_account).exclude(pk=parent.pk).order_by("order_type")
    assert [(leg.order_type, leg.side, leg.qty, leg.limit_price, leg.stop_price) for leg in legs] == [
        ("limit", "sell", Decimal(2), Decimal(400), None),
        ("stop_limit", "sell", Decimal(2), Decimal("89.5"), Decimal(90)),
    ]
    assert {leg.batch_id for leg in legs} == {None}, "the batch counts its lines"
