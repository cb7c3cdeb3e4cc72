"""Alpaca's JSON becomes values without losing a digit, a moment or a word."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import mapping, times
from broker.errors import BrokerUnavailable, UnreadableAnswer
from broker.numbers import plain
from broker.types import BrokerActivity, BrokerFill, OrderRequest
from tests.broker.samples import account_row, dividend_row, fill_row, order_row, position_row

# As far as Alpaca goes, and farther than a float does.
numbers = st.decimals(min_value=0, max_value=10**15, allow_nan=False, allow_infinity=False, places=9)
moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1))  # noqa: DTZ001
words = st.text(min_size=1, max_size=30)


def request(**changes: Any) -> OrderRequest:
    fields = {
        "client_order_id": "one",
        "symbol": "QCOM",
        "side": "buy",
        "order_type": "market",
        "time_in_force": "day",
        **changes,
    }
    return OrderRequest(**fields)


def through_the_wire(document: object) -> Any:
    return mapping.parse_json(json.dumps(document).encode())


@given(numbers)
def test_a_number_comes_in_as_it_was_sent(number: Decimal) -> None:
    order = mapping.to_order(through_the_wire(order_row(qty=str(number), limit_price=str(number))))
    assert (order.qty, order.limit_price) == (number, number)


@given(numbers)
def test_a_number_goes_out_as_a_string_with_every_digit(number: Decimal) -> None:
    body = json.loads(json.dumps(mapping.order_body(request(qty=number, limit_price=number))))
    assert isinstance(body["qty"], str)
    assert "E" not in body["qty"]
    assert Decimal(body["qty"]) == Decimal(body["limit_price"]) == number


@given(numbers)
def test_a_number_survives_the_whole_way_round(number: Decimal) -> None:
    sent = mapping.order_body(request(qty=number))["qty"]
    assert mapping.to_order(through_the_wire(order_row(qty=sent))).qty == number


def test_a_json_number_with_a_point_never_becomes_a_float() -> None:
    row = mapping.parse_json(b'{"qty": 123456789.123456789, "count": 3}')
    assert row == {"qty": "123456789.123456789", "count": 3}
    text = json.dumps(order_row()).replace('"qty": "12"', '"qty": 0.1000000000000000055')
    assert mapping.to_order(mapping.parse_json(text)).qty == Decimal("0.1000000000000000055")


@given(moments, st.integers(0, 999), st.integers(-14 * 60, 14 * 60))
def test_a_moment_of_any_offset_is_read_to_the_microsecond(moment: datetime, nanos: int, offset: int) -> None:
    moment = moment.replace(tzinfo=UTC)
    local = (moment + timedelta(minutes=offset)).replace(tzinfo=None)
    sign, hours, minutes = "+-"[offset < 0], *divmod(abs(offset), 60)
    text = f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond:06d}{nanos:03d}{sign}{hours:02d}:{minutes:02d}"
    assert times.moment(text) == moment
    assert times.nanoseconds(text) % 1000 == nanos
    assert times.moment(text).utcoffset() == timedelta(0)


@given(moments)
def test_a_moment_survives_the_way_out_and_back(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    assert times.moment(times.rfc3339(moment)) == moment


@pytest.mark.parametrize("digits", range(10))
def test_a_second_has_no_to_nine_digits(digits: int) -> None:
    text = "2025-11-06T13:00:00" + (f".{'123456789'[:digits]}" if digits else "") + "Z"
    assert times.moment(text) == datetime(2025, 11, 6, 13, tzinfo=UTC) + timedelta(
        microseconds=int("123456789"[:digits].ljust(6, "0")[:6])
    )


@pytest.mark.parametrize("text", ["2025-11-06", "2025-11-06T13:00:00", "yesterday", "2025-13-06T13:00:00Z", ""])
def test_a_time_that_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month"):
        times.moment(text)


def test_a_naive_time_is_never_sent() -> None:
    with pytest.raises(ValueError, match="zone"):
        times.rfc3339(datetime(2025, 11, 6))  # noqa: DTZ001


@given(words, words, words)
def test_words_and_fields_that_are_new_to_us_are_kept(status: str, order_type: str, field: str) -> None:
    row = order_row(status=status, type=order_type) | {f"new_{field}": {"deep": ["kept"]}}
    order = mapping.to_order(through_the_wire(row))
    assert (order.status, order.order_type) == (status, order_type)
    assert order.raw == row


def test_an_order_is_read_whole() -> None:
    order = mapping.to_order(order_row(legs=[order_row(id="leg-1"), order_row(id="leg-2")], replaced_by="other"))
    assert order.submitted_at == datetime(2025, 11, 6, 13, 0, 0, 106918, tzinfo=UTC)
    assert order.raw["submitted_at"] == "2025-11-06T13:00:00.10691827Z"
    assert (order.qty, order.filled_qty) == (Decimal(12), Decimal(0))
    assert (order.notional, order.filled_avg_price) == (None, None)
    assert (order.leg_ids, order.replaces, order.replaced_by) == (("leg-1", "leg-2"), "", "other")
    assert (order.order_class, order.canceled_at, order.extended_hours) == ("", None, False)


def test_the_parent_of_a_multi_leg_order_has_no_symbol_and_no_side() -> None:
    order = mapping.to_order(order_row(symbol="", side="", asset_id="", type="limit", qty="1"))
    assert (order.symbol, order.side) == ("", "")


def test_a_notional_order_has_no_quantity() -> None:
    order = mapping.to_order(order_row(qty=None, notional="250.5"))
    assert (order.qty, order.notional) == (None, Decimal("250.5"))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"status": None},
        {"filled_qty": None},
        {"filled_qty": "twelve"},
        {"filled_qty": True},
        {"qty": "NaN"},
        {"qty": ["12"]},
        {"limit_price": "1,5"},
        {"submitted_at": "06.11.2025"},
        {"extended_hours": "yes"},
        {"legs": {"0": "leg"}},
        {"legs": [{"symbol": "QCOM"}]},
    ],
)
def test_a_row_that_cannot_be_read_makes_the_read_unreadable(changes: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAnswer, match=r"Alpaca's order") as caught:
        mapping.to_order(order_row(**changes))
    assert isinstance(caught.value, BrokerUnavailable)


@pytest.mark.parametrize("field", ["id", "client_order_id", "symbol", "side", "status", "filled_qty"])
def test_a_part_of_an_order_is_no_order(field: str) -> None:
    row = order_row()
    del row[field]
    with pytest.raises(UnreadableAnswer, match=f"{field} is missing"):
        mapping.to_order(row)


@pytest.mark.parametrize("row", [None, [], "order", 7])
def test_a_row_must_be_an_object(row: object) -> None:
    with pytest.raises(UnreadableAnswer):
        mapping.to_order(row)


@pytest.mark.parametrize("text", [b"", b"<html>", b'{"a": 1', b"\x00\xff", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_not_json_is_unreadable(text: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        mapping.parse_json(text)


def test_a_fill_is_one_execution() -> None:
    fill = mapping.to_activity(fill_row(side="sell_short"))
    assert isinstance(fill, BrokerFill)
    assert (fill.side, fill.qty, fill.price, fill.leaves_qty) == (
        "sell",
        Decimal(12),
        Decimal("173.4821"),
        Decimal(0),
    )
    assert fill.transaction_time == datetime(2025, 11, 6, 13, 0, 0, 998414, tzinfo=UTC)
    assert fill.raw["side"] == "sell_short"


@pytest.mark.parametrize("changes", [{"qty": "-12"}, {"qty": "0"}, {"side": "transmuted"}])
def test_a_fill_row_that_adds_no_shares_stays_out_of_the_ledger_and_is_shown(changes: dict[str, str]) -> None:
    activity = mapping.to_activity(fill_row(**changes))
    assert isinstance(activity, BrokerActivity)
    assert (activity.activity_type, activity.day) == ("FILL", "2025-11-06")


@pytest.mark.parametrize("field", ["price", "qty", "side", "order_id", "symbol", "transaction_time", "id"])
def test_a_part_of_a_fill_is_unreadable(field: str) -> None:
    with pytest.raises(UnreadableAnswer, match=field):
        mapping.to_activity(fill_row(**{field: None}))


def test_other_activities_are_kept_under_any_name() -> None:
    activity = mapping.to_activity(dividend_row(activity_type="ABRACADABRA"))
    assert isinstance(activity, BrokerActivity)
    assert (activity.activity_type, activity.net_amount, activity.day) == (
        "ABRACADABRA",
        Decimal("10.68"),
        "2025-11-06",
    )


@pytest.mark.parametrize(
    ("side", "sent", "meant"),
    [("long", "12", 12), ("short", "-12", -12), ("short", "12", -12), ("", "-3", -3), ("sideways", "3", 3)],
)
def test_a_position_has_a_signed_quantity(side: str, sent: str, meant: int) -> None:
    position = mapping.to_position(position_row(side=side, qty=sent, current_price=None))
    assert position.qty == meant
    assert position.avg_entry_price == Decimal("3648.1242857142857143")
    assert position.current_price is None


def test_a_long_position_below_zero_contradicts_itself() -> None:
    with pytest.raises(UnreadableAnswer, match="long"):
        mapping.to_position(position_row(qty="-12"))


def test_an_account_keeps_every_digit() -> None:
    account = mapping.to_account(account_row())
    assert plain(account.last_equity) == "100003.120000000000001"
    assert account.raw["crypto_tier"] == 1
    with pytest.raises(UnreadableAnswer, match="equity is missing"):
        mapping.to_account(account_row(equity=None))


def test_the_clock_is_read_with_its_offset() -> None:
    clock = mapping.to_clock(
        {
            "timestamp": "2025-11-06T08:00:01.123456789-05:00",
            "is_open": False,
            "next_open": "2025-11-06T09:30:00-05:00",
            "next_close": "2025-11-06T16:00:00-05:00",
        }
    )
    assert clock.timestamp == datetime(2025, 11, 6, 13, 0, 1, 123456, tzinfo=UTC)
    assert clock.next_close == datetime(2025, 11, 6, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "close", "open_utc", "close_utc"),
    [("2025-11-06", "16:00", 1430, 2100), ("2025-07-03", "13:00", 1330, 1700)],
)
def test_a_trading_day_knows_daylight_saving_and_half_days(day: str, close: str, open_utc: int, close_utc: int) -> None:
    trading_day = mapping.to_trading_day({"date": day, "open": "09:30", "close": close})
    assert trading_day.day == date.fromisoformat(day)
    assert int(f"{trading_day.open_at:%H%M}") == open_utc
    assert int(f"{trading_day.close_at:%H%M}") == close_utc


def test_a_trading_day_without_times_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswer, match="calendar"):
        mapping.to_trading_day({"date": "2025-11-06", "open": "soon", "close": "16:00"})


def test_an_asset_is_read() -> None:
    asset = mapping.to_asset(
        {"id": "a", "class": "crypto", "symbol": "BTC/USD", "name": "Bitcoin", "status": "active", "tradable": True}
    )
    assert (asset.symbol, asset.asset_class, asset.tradable, asset.fractionable) == ("BTC/USD", "crypto", True, False)


def test_the_body_holds_what_was_asked_and_nothing_else() -> None:
    assert mapping.order_body(request(qty=Decimal("123456789.123456789"))) == {
        "symbol": "QCOM",
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": "one",
        "qty": "123456789.123456789",
    }


def test_the_body_of_a_bracket_holds_its_exits() -> None:
    body = mapping.order_body(
        request(
            qty=Decimal("1E+2"),
            order_class="bracket",
            extended_hours=True,
            take_profit_limit_price=Decimal("20.10"),
            stop_loss_stop_price=Decimal("9.2"),
        )
    )
    assert (body["qty"], body["order_class"], body["extended_hours"]) == ("100", "bracket", True)
    assert (body["take_profit"], body["stop_loss"]) == ({"limit_price": "20.1"}, {"stop_price": "9.2"})


symbols = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ.", min_size=1, max_size=6)
prices = st.decimals(min_value="0.0001", max_value=10**15, allow_nan=False, allow_infinity=False, places=9)


@given(st.dictionaries(symbols, prices, min_size=1), st.data())
def test_latest_prices_keep_every_digit_of_a_json_number(traded: dict[str, Decimal], data: st.DataObject) -> None:
    """Alpaca writes prices as JSON numbers: they come in as they were sent, those that were asked for alone."""
    wanted = data.draw(st.sets(st.sampled_from([*traded, "NEVERTRADED"]), min_size=1))
    rows = ",".join(f'{json.dumps(symbol)}: {{"p": {price:f}, "s": 100}}' for symbol, price in traded.items())
    document = mapping.parse_json(f'{{"trades": {{{rows}}}, "new": null}}')
    found = mapping.to_latest_prices(document, wanted)
    assert found == {symbol: price for symbol, price in traded.items() if symbol in wanted}
    assert all(type(price) is Decimal for price in found.values())


@pytest.mark.parametrize("number", ["190", "1.9e2", '"190.00"'])
def test_a_price_is_read_however_it_is_spelled(number: str) -> None:
    document = mapping.parse_json(f'{{"trades": {{"AAPL": {{"p": {number}}}}}}}')
    assert mapping.to_latest_prices(document, ["AAPL"]) == {"AAPL": Decimal(190)}


@pytest.mark.parametrize("trade", ["null", "[]", "{}", '{"p": null}', '{"p": 0}', '{"p": -1.5}', '{"p": "much"}'])
def test_a_trade_without_a_price_is_unreadable(trade: str) -> None:
    document = mapping.parse_json(f'{{"trades": {{"AAPL": {trade}}}}}')
    with pytest.raises(UnreadableAnswer):
        mapping.to_latest_prices(document, ["AAPL"])
    assert mapping.to_latest_prices(document, ["MSFT"]) == {}
