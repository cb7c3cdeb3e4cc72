"""Every mistake in a batch file is named with its line, its field, what was expected and what stood there."""

import json
import string
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.batch_file import as_csv, content_digest, read_batch_file
from orders.batch_line import FIELDS, Line


def read(text, filename="orders.csv", *, max_bytes=100_000, max_lines=500):
    data = text if isinstance(text, bytes) else text.encode()
    return read_batch_file(data, filename, max_bytes=max_bytes, max_lines=max_lines)


def one_error(text, filename="orders.csv", **limits):
    [error] = read(text, filename, **limits).errors
    return error.line, error.field, error.message


def row(**cells):
    cells = {"symbol": "AAPL", "side": "buy", "qty": "1"} | cells
    return f"{','.join(cells)}\n{','.join(cells.values())}\n"


def test_csv_with_a_byte_order_mark_blank_lines_and_spaces_is_read():
    file = read("\ufeffsymbol, side ,qty\r\naapl,BUY, 10.50\r\n\r\n,,\r\nMSFT,sell,3\r\n".encode())
    assert file.errors == ()
    assert file.lines == (
        Line(number=2, symbol="AAPL", side="buy", qty=Decimal("10.5")),
        Line(number=5, symbol="MSFT", side="sell", qty=Decimal(3)),
    )


@pytest.mark.parametrize("wrap", [lambda orders: orders, lambda orders: {"orders": orders}])
def test_json_list_or_object_is_read_without_losing_digits(wrap):
    text = json.dumps(
        wrap([{"symbol": "AAPL", "side": "buy", "qty": 0.5}, {"symbol": "F", "side": "sell", "qty": "2"}])
    )
    file = read(text.replace("0.5", "0.123456789"), "orders.json")
    assert [line.qty for line in file.lines] == [Decimal("0.123456789"), Decimal(2)]
    assert file.source == "json"


def test_a_file_without_an_ending_is_recognised_by_its_content():
    assert (
        read('[{"symbol":"A","side":"buy","qty":1,"extended_hours":false,"notional":null}]', "upload").source == "json"
    )
    assert read(row(), "upload").source == "csv"


@pytest.mark.parametrize(
    ("cells", "field", "expected", "found"),
    [
        ({"qty": "ten"}, "qty", "a number", "'ten'"),
        ({"qty": "NaN"}, "qty", "a number", "'NaN'"),
        ({"qty": "inf"}, "qty", "a number", "'inf'"),
        ({"qty": "-5"}, "qty", "more than 0", "'-5'"),
        ({"qty": "0"}, "qty", "more than 0", "'0'"),
        ({"qty": "1_000"}, "qty", "a number", "'1_000'"),
        ({"qty": "١٢"}, "qty", "a number", "'١٢'"),
        ({"qty": "1e12"}, "qty", "at most 1000000000", "'1e12'"),
        ({"qty": "0.1234567891"}, "qty", "at most 9 decimal places", "'0.1234567891'"),
        ({"qty": ""}, "qty", "either qty or notional", "neither"),
        ({"notional": "100"}, "qty", "either qty or notional", "both"),
        ({"qty": "", "notional": "0.50"}, "notional", "at least 1", "'0.50'"),
        ({"qty": "", "notional": "10.001"}, "notional", "at most 2 decimal places", "'10.001'"),
        ({"side": "hold"}, "side", "buy or sell", "'hold'"),
        ({"side": ""}, "side", "buy or sell", "nothing"),
        ({"symbol": ""}, "symbol", "a ticker", "nothing"),
        ({"symbol": "A B"}, "symbol", "a ticker", "'A B'"),
        ({"order_type": "magic"}, "order_type", "trailing_stop", "'magic'"),
        ({"time_in_force": "never"}, "time_in_force", "or fok", "'never'"),
        ({"order_type": "limit"}, "limit_price", "a price for a limit order", "nothing"),
        ({"order_type": "stop"}, "stop_price", "a price for a stop order", "nothing"),
        ({"limit_price": "5"}, "limit_price", "nothing for a market order", "'5'"),
        ({"order_type": "limit", "limit_price": "10.001"}, "limit_price", "whole cents", "'10.001'"),
        ({"order_type": "limit", "limit_price": "0.12345"}, "limit_price", "4 decimal places", "'0.12345'"),
        ({"order_type": "trailing_stop"}, "trail_price", "either trail_price or trail_percent", "neither"),
        ({"order_type": "trailing_stop", "trail_price": "1", "trail_percent": "2"}, "trail_price", "either", "both"),
        ({"qty": "0.5", "time_in_force": "gtc"}, "time_in_force", "day", "'gtc'"),
        ({"order_type": "stop", "stop_price": "5", "time_in_force": "ioc"}, "time_in_force", "day or gtc", "'ioc'"),
        ({"extended_hours": "true"}, "extended_hours", "a limit order", "market day"),
        ({"extended_hours": "maybe"}, "extended_hours", "true or false", "'maybe'"),
    ],
)
def test_a_bad_cell_is_named(cells, field, expected, found):
    line, named, message = one_error(row(**cells))
    assert (line, named) == (2, field)
    assert expected in message
    assert message.endswith(f"found {found}")


def test_prices_below_a_dollar_may_have_four_places():
    assert read(row(order_type="limit", limit_price="0.1234")).errors == ()


@pytest.mark.parametrize(
    ("text", "line", "field", "expected"),
    [
        ("symbol,side,qty,colour\nA,buy,1,red\n", 1, "colour", "found 'colour'"),
        ("symbol,side,qty,type\nA,buy,1,limit\n", 1, "type", "did you mean order_type?"),
        ("side,qty\nbuy,1\n", 1, "symbol", "missing"),
        ("symbol,side\nA,buy\n", 1, "qty", "qty or notional"),
        ("symbol,side,qty,qty\nA,buy,1,1\n", 1, "qty", "found it twice"),
        ("symbol;side;qty\nA;buy;1\n", 1, "", "semicolons"),
        ("symbol,side,qty\nA,buy\n", 2, "", "expected 3 cells as in the header, found 2"),
        ("symbol,side,qty\nA,buy,1,2\n", 2, "", "expected 3 cells as in the header, found 4"),
        ('symbol,side,qty\nA,"buy,1\n', 2, "", "comma-separated"),
        ("symbol,side,qty\nA,buy,1\nB,buy,1\nA,buy,1.0\n", 4, "", "the same as on line 2"),
        ("symbol,side,qty\n", None, "", "at least one order"),
        ("", None, "", "empty file"),
        (b"\xff\xfe\x00A", 1, "", "0xff"),
        (b"symbol,side,qty\nA,buy,1\x00\n", 2, "", "binary"),
    ],
)
def test_a_bad_file_is_named(text, line, field, expected):
    found = one_error(text)
    assert found[:2] == (line, field)
    assert expected in found[2]


@pytest.mark.parametrize(
    ("text", "line", "field", "expected"),
    [
        ("[", 1, "", "expected JSON"),
        ("{}", None, "", "expected a list"),
        ('{"orders": {}}', None, "", "found an object"),
        ('"A"', None, "", "expected a list of orders"),
        ("[]", None, "", "at least one order"),
        ("[1]", 1, "", "found '1'"),
        ('[{"symbol":"A","side":"buy"}]', 1, "qty", "qty or notional"),
        ('[{"symbol":"A","side":"buy","qty":NaN}]', 1, "qty", "found 'NaN'"),
        ('[{"symbol":"A","side":"buy","qty":true}]', 1, "qty", "found 'true'"),
        ('[{"symbol":"A","side":"buy","qty":[1]}]', 1, "qty", "found a list"),
        ('[{"symbol":"A","side":"buy","qty":1,"qty":2}]', 1, "qty", "found it twice"),
        ("[" * 100_000, None, "", "without end"),
    ],
)
def test_bad_json_is_named(text, line, field, expected):
    found = one_error(text, "orders.json", max_bytes=1_000_000)
    assert found[:2] == (line, field)
    assert expected in found[2]


def test_too_long_files_are_refused():
    many = "symbol,side,qty\n" + "".join(f"A,buy,{n}\n" for n in range(1, 12))
    assert one_error(many, max_lines=10) == (12, "", "expected at most 10 orders in a file, found more")
    assert "at most 20 bytes" in one_error(many, max_bytes=20)[2]


def test_all_errors_of_a_file_are_named_at_once():
    file = read("symbol,side,qty\n?,hold,x\nA,buy,1\nB,buy,-1\n")
    assert [(error.line, error.field) for error in file.errors] == [(2, "symbol"), (2, "side"), (2, "qty"), (4, "qty")]


def test_digest_is_of_the_orders_not_of_the_file():
    first = read("symbol,side,qty\nA,buy,1\nB,sell,2\n")
    other = read('[{"side":"sell","symbol":"b","qty":2.0},{"symbol":"A","side":"buy","qty":"1.00"}]', "x.json")
    assert content_digest(first.lines) == content_digest(other.lines)
    assert content_digest(first.lines) != content_digest(first.lines[:1])


quantities = st.decimals("0.000000001", "999999", places=9)
prices = st.decimals("1", "9999", places=2) | st.decimals("0.0001", "0.9999", places=4)


@st.composite
def lines_(draw, number):
    order_type = draw(st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing_stop"]))
    whole = order_type == "trailing_stop" or draw(st.booleans())
    size = {"qty": Decimal(draw(st.integers(1, 10**6))) if whole else draw(quantities).normalize()}
    if not whole and draw(st.booleans()):
        size = {"notional": draw(st.decimals("1", "99999", places=2))}
    plain: dict[str, Any] = {
        name: Decimal(format(value.normalize(), "f"))
        for name, value in {
            **size,
            **({"limit_price": draw(prices)} if "limit" in order_type else {}),
            **({"stop_price": draw(prices)} if order_type in {"stop", "stop_limit"} else {}),
            **({"trail_price": draw(prices)} if order_type == "trailing_stop" else {}),
        }.items()
    }
    symbol = draw(st.text(string.ascii_uppercase, min_size=1, max_size=5))
    return Line(
        number=number, symbol=symbol, side=draw(st.sampled_from(["buy", "sell"])), order_type=order_type, **plain
    )


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(*(lines_(number) for number in range(2, n + 2)))))
def test_what_is_written_is_read_back(lines):
    different = {line.terms(): line for line in reversed(lines)}
    file = read(as_csv(lines))
    assert {line.terms() for line in file.lines} == set(different)
    assert len(file.errors) == len(lines) - len(different)
    assert content_digest(file.lines) == content_digest(lines)


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.json", "a"]))
def test_no_bytes_crash_the_reader(data, filename):
    file = read(data, filename)
    assert file.errors or file.lines


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*FIELDS, "x"]),
            st.none() | st.booleans() | st.floats() | st.text(string.printable, max_size=20),
        ),
        max_size=3,
    )
)
def test_no_json_crashes_the_reader(orders):
    file = read(json.dumps(orders), "a.json")
    assert file.errors or file.lines
