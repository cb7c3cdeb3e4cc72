"""What refuses a batch before anything is recorded, and what is only said."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from broker.types import BrokerAsset, BrokerClock, BrokerPosition
from orders.batch_line import Line
from orders.pretrade import AccountFacts, Facts, review

NOW = datetime(2025, 11, 6, 13, 0, tzinfo=UTC)
OPENS = datetime(2025, 11, 6, 14, 30, tzinfo=UTC)


def asset(symbol="AAPL", **fields):
    usual = {"name": symbol, "asset_class": "us_equity", "status": "active"}
    usual |= {"tradable": True, "fractionable": True, "shortable": True}
    return BrokerAsset(asset_id=f"id-{symbol}", symbol=symbol, **{**usual, **fields})


def position(symbol="AAPL", qty="100", price="10"):
    return BrokerPosition(
        symbol=symbol,
        asset_id=f"id-{symbol}",
        qty=Decimal(qty),
        avg_entry_price=Decimal(1),
        current_price=Decimal(price) if price else None,
        market_value=None,
        unrealized_pl=None,
        raw={},
    )


def facts(*, assets=None, positions=(), latest=None, is_open=True, **account):
    usual = {"name": "Simulator", "buying_power": Decimal(100_000), "blocked": "", "sending_halted": False}
    usual |= {"max_order_notional": Decimal(50_000), "max_batch_notional": Decimal(80_000), "max_batch_orders": 10}
    duplicate = {"duplicate_of": account.pop("duplicate_of", None)}
    return Facts(
        account=AccountFacts(**{**usual, **account}),
        assets={"AAPL": asset(), "F": asset("F")} if assets is None else assets,
        positions={item.symbol: item for item in positions},
        clock=BrokerClock(timestamp=NOW, is_open=is_open, next_open=OPENS, next_close=NOW),
        latest_prices=latest or {},
        duplicate_recorded_at=NOW,
        **duplicate,
    )  # fmt: skip


def line(number=2, **fields):
    fields = {"symbol": "AAPL", "side": "buy", "qty": "1", **fields}
    numbers = ("qty", "notional", "limit_price", "stop_price")
    exact: dict[str, Any] = {name: Decimal(v) if name in numbers and v is not None else v for name, v in fields.items()}
    return Line(number=number, **exact)


def limit(number=2, **fields):
    return line(number, **{"order_type": "limit", "limit_price": "10", **fields})


def errors(lines, given):
    return [(error.line, error.field, error.message) for error in review(lines, given).errors]


def test_a_good_batch_has_no_error_and_its_dollars_are_summed():
    judged = review([limit(qty="10"), limit(3, symbol="F", qty="5")], facts())
    assert (judged.errors, judged.warnings) == ((), ())
    assert judged.notional == Decimal(150)


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        ({}, "expected a symbol that Alpaca knows, found 'AAPL'"),
        ({"AAPL": None}, "expected a symbol that Alpaca knows, found 'AAPL'"),
        ({"AAPL": asset(tradable=False)}, "expected a tradable asset, found AAPL, which is not tradable"),
        ({"AAPL": asset(status="inactive")}, "expected a tradable asset, found AAPL, which is inactive"),
        ({"AAPL": asset(asset_class="crypto")}, "expected a US stock or fund, found AAPL (crypto)"),
    ],
)
def test_assets_that_cannot_be_traded_are_refused(assets, expected):
    assert errors([limit()], facts(assets=assets)) == [(2, "symbol", expected)]


def test_parts_of_shares_need_a_fractionable_asset():
    given = facts(assets={"AAPL": asset(fractionable=False)})
    assert [e[1] for e in errors([limit(qty="0.5")], given)] == ["qty"]
    assert [e[1] for e in errors([line(qty=None, notional="20")], given)] == ["notional"]
    assert errors([limit(qty="5")], given) == []


def test_the_account_must_be_able_to_trade():
    [(number, field, message)] = errors([limit()], facts(blocked="Alpaca has blocked its trading"))
    assert (number, field) == (None, "account")
    assert "blocked its trading" in message


def test_orders_of_the_last_day_are_refused():
    [(number, _, message)] = errors([limit()], facts(duplicate_of=7))
    assert number is None
    assert "found those of batch 7, recorded Thu 6 Nov 08:00 New York time" in message


def test_buys_beyond_the_buying_power_are_refused():
    [(number, _, message)] = errors([limit(qty="101")], facts(buying_power=Decimal(1000)))
    assert number == 2
    assert message == (
        "expected buys within the buying power of $1,000.00, found $1,010.00 in all; "
        "this order goes over it: $1,010.00 (101 × $10.00, its limit price)"
    )


def test_buying_back_a_short_needs_no_buying_power():
    given = facts(buying_power=Decimal(100), positions=[position(qty="-100")])
    assert errors([line(qty="100")], given) == []
    assert "found $1,000.00" in errors([line(qty="200")], given)[0][2]


def test_limits_of_one_order_and_of_the_batch():
    given = facts(max_order_notional=Decimal(500), max_batch_notional=Decimal(900), max_batch_orders=2)
    lines = [limit(qty="51"), limit(3, qty="49"), limit(4, symbol="F", qty="1")]
    assert errors(lines, given) == [
        (None, "", "expected at most 2 orders in a batch, found 3"),
        (2, "qty", "expected an order of at most $500.00, found $510.00 (51 × $10.00, its limit price)"),
        (
            3,
            "qty",
            "expected buys in a batch within its limit of $900.00, found $1,010.00 in all; "
            "this order goes over it: $490.00 (49 × $10.00, its limit price)",
        ),
    ]


def test_an_order_by_notional_is_named_by_that_field():
    given = facts(max_order_notional=Decimal(500), buying_power=Decimal(400))
    assert errors([line(qty=None, notional="501")], given) == [
        (2, "notional", "expected an order of at most $500.00, found $501.00"),
        (
            2,
            "notional",
            "expected buys within the buying power of $400.00, found $501.00 in all; this order goes over it: $501.00",
        ),
    ]


def test_market_orders_are_priced_by_the_latest_trade_or_the_position_held_or_warned_of():
    held = {"max_order_notional": Decimal(500), "positions": [position(price="20")]}
    given = facts(latest={"AAPL": Decimal("20.0125")}, **held)
    assert errors([line(qty="30")], given)[0][2].endswith("found $600.38 (30 × $20.0125, the latest trade)")
    assert errors([line(qty="24")], given) == []
    given = facts(**held)
    assert errors([line(qty="30")], given)[0][2].endswith("found $600.00 (30 × $20.00, the price of the position held)")
    [warning] = review([line(symbol="F", qty="30")], given).warnings
    assert warning == (
        "No price is known for F: dollar limits and buying power could not be checked."
    )  # fmt: skip


def test_a_stop_without_any_market_price_costs_its_stop_price():
    given = facts(max_order_notional=Decimal(500))
    [(_, _, message)] = errors([line(side="sell", order_type="stop", stop_price="30", qty="20")], given)
    assert message.endswith("found $600.00 (20 × $30.00, its stop price)")


def test_a_limit_price_goes_before_the_latest_trade():
    given = facts(max_order_notional=Decimal(500), latest={"AAPL": Decimal(60)})
    assert errors([limit(qty="50")], given) == []


def test_selling_more_than_is_held_is_a_short_sale():
    held = [position(qty="10")]
    assert review([line(side="sell", qty="10")], facts(positions=held)).warnings == ()
    [warning] = review([line(side="sell", qty="6"), line(3, side="sell", qty="5")], facts(positions=held)).warnings
    assert "opens a short position: AAPL" in warning
    given = facts(assets={"AAPL": asset(shortable=False)}, positions=held)
    [(number, field, message)] = errors([line(side="sell", qty="11")], given)
    assert (number, field) == (2, "qty")
    assert message == "expected at most the 10 shares held, since AAPL cannot be sold short, found 11"
    assert (
        "parts of shares cannot be sold short" in errors([line(side="sell", qty="10.5")], facts(positions=held))[0][2]
    )


def test_selling_by_notional_needs_a_position():
    assert [e[1] for e in errors([line(side="sell", qty=None, notional="5")], facts())] == ["notional"]


def test_both_sides_a_closed_market_and_halted_sending_are_said():
    given = facts(is_open=False, sending_halted=True, positions=[position()])
    warnings = review([limit(qty="1"), limit(3, side="sell", limit_price="11")], given).warnings
    assert any("wash trade: AAPL" in warning for warning in warnings)
    assert any("opens Thu 6 Nov 09:30 New York time" in warning for warning in warnings)
    assert any("Sending is halted for Simulator" in warning for warning in warnings)
