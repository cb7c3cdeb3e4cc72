"""Alpaca's JSON to values, and an order to send to JSON. Pure.

A word or field that is new to us is kept. A row that cannot be read raises `UnreadableAnswer` and makes the
whole read unreadable: a row that is silently left out would look like an order or position that is not there.
"""

import json
from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from broker import times
from broker.errors import UnreadableAnswer
from broker.numbers import exact, plain
from broker.types import (
    BrokerAccount,
    BrokerActivity,
    BrokerAsset,
    BrokerBar,
    BrokerClock,
    BrokerEquity,
    BrokerFill,
    BrokerOrder,
    BrokerPosition,
    OrderRequest,
    Raw,
    Replacement,
    TradingDay,
)

#: What pairs are quoted in, the longer names first.
_QUOTES = ("USDT", "USDC", "USD", "BTC")
# Activities also know a short sale; for the ledger it is a sale.
_FILL_SIDES = {"buy": "buy", "sell": "sell", "sell_short": "sell"}


def parse_json(text: str | bytes) -> Any:
    """Return the document. Numbers with a point stay the digits that were sent, as text: no float ever exists."""
    try:
        return json.loads(text, parse_float=str, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswer("The answer is not JSON.") from error


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number.")


def to_account(row: object) -> BrokerAccount:
    fields = _Fields("account", row)
    return BrokerAccount(
        account_id=fields.text("id"),
        account_number=fields.text("account_number"),
        status=fields.text("status"),
        created_at=fields.moment_or_none("created_at"),
        equity=fields.number("equity"),
        last_equity=fields.number("last_equity"),
        cash=fields.number("cash"),
        buying_power=fields.number("buying_power"),
        long_market_value=fields.number("long_market_value"),
        short_market_value=fields.number("short_market_value"),
        trading_blocked=fields.flag("trading_blocked"),
        account_blocked=fields.flag("account_blocked"),
        trade_suspended_by_user=fields.flag("trade_suspended_by_user"),
        raw=fields.row,
    )


def to_clock(row: object) -> BrokerClock:
    fields = _Fields("clock", row)
    return BrokerClock(
        timestamp=fields.moment("timestamp"),
        is_open=fields.flag("is_open"),
        next_open=fields.moment("next_open"),
        next_close=fields.moment("next_close"),
    )


def to_trading_day(row: object) -> TradingDay:
    fields = _Fields("calendar day", row)
    try:
        day = date.fromisoformat(fields.text("date"))
        open_at = times.in_new_york(day, time.fromisoformat(fields.text("open")))
        close_at = times.in_new_york(day, time.fromisoformat(fields.text("close")))
    except ValueError as error:
        raise fields.unreadable("date, open or close is no time") from error
    return TradingDay(day=day, open_at=open_at, close_at=close_at)


def to_asset(row: object) -> BrokerAsset:
    fields = _Fields("asset", row)
    return BrokerAsset(
        asset_id=fields.text("id"),
        symbol=fields.text("symbol"),
        name=fields.word("name"),
        asset_class=fields.word("class"),
        status=fields.word("status"),
        tradable=fields.flag("tradable"),
        fractionable=fields.flag("fractionable"),
        shortable=fields.flag("shortable"),
    )


def to_order(row: object) -> BrokerOrder:
    fields = _Fields("order", row)
    legs = fields.row.get("legs") or []
    if not isinstance(legs, list):
        raise fields.unreadable("legs is no list")
    return BrokerOrder(
        broker_order_id=fields.text("id"),
        client_order_id=fields.present("client_order_id"),
        # Empty on the parent of a multi-leg order.
        symbol=fields.present("symbol"),
        asset_id=fields.word("asset_id"),
        side=fields.present("side"),
        order_type=fields.word("type") or fields.word("order_type"),
        order_class=fields.word("order_class"),
        time_in_force=fields.word("time_in_force"),
        qty=fields.number_or_none("qty"),
        notional=fields.number_or_none("notional"),
        limit_price=fields.number_or_none("limit_price"),
        stop_price=fields.number_or_none("stop_price"),
        trail_price=fields.number_or_none("trail_price"),
        trail_percent=fields.number_or_none("trail_percent"),
        extended_hours=fields.flag("extended_hours"),
        status=fields.text("status"),
        filled_qty=fields.number("filled_qty"),
        filled_avg_price=fields.number_or_none("filled_avg_price"),
        created_at=fields.moment_or_none("created_at"),
        updated_at=fields.moment_or_none("updated_at"),
        submitted_at=fields.moment_or_none("submitted_at"),
        filled_at=fields.moment_or_none("filled_at"),
        canceled_at=fields.moment_or_none("canceled_at"),
        expired_at=fields.moment_or_none("expired_at"),
        failed_at=fields.moment_or_none("failed_at"),
        replaced_at=fields.moment_or_none("replaced_at"),
        replaces=fields.word("replaces"),
        replaced_by=fields.word("replaced_by"),
        subtag=fields.word("subtag"),
        leg_ids=tuple(_Fields("order leg", leg).text("id") for leg in legs),
        raw=fields.row,
    )


def to_activity(row: object) -> BrokerFill | BrokerActivity:
    """Return the fill that the row is, or the activity.

    A FILL row that adds no shares to an order (a bust, a side we do not know) must not enter the ledger by
    itself: it stays an activity, and people are shown it.
    """
    fields = _Fields("activity", row)
    activity_type = fields.text("activity_type")
    if activity_type == "FILL" and fields.text("side") in _FILL_SIDES and fields.number("qty") > 0:
        return BrokerFill(
            activity_id=fields.text("id"),
            broker_order_id=fields.text("order_id"),
            symbol=fields.text("symbol"),
            side=_FILL_SIDES[fields.text("side")],
            qty=fields.number("qty"),
            price=fields.number("price"),
            cum_qty=fields.number_or_none("cum_qty"),
            leaves_qty=fields.number_or_none("leaves_qty"),
            transaction_time=fields.moment("transaction_time"),
            raw=fields.row,
        )
    return BrokerActivity(
        activity_id=fields.text("id"),
        activity_type=activity_type,
        symbol=fields.word("symbol"),
        qty=fields.number_or_none("qty"),
        price=fields.number_or_none("price"),
        net_amount=fields.number_or_none("net_amount"),
        day=fields.word("date") or fields.word("transaction_time")[:10],
        raw=fields.row,
    )


def to_position(row: object) -> BrokerPosition:
    fields = _Fields("position", row)
    qty = fields.number("qty")
    side = fields.word("side")
    if side == "long" and qty < 0:
        raise fields.unreadable(f"it is long, with a quantity of {qty}")
    return BrokerPosition(
        symbol=_position_symbol(fields),
        asset_id=fields.word("asset_id"),
        qty=-abs(qty) if side == "short" else qty,
        avg_entry_price=fields.number("avg_entry_price"),
        current_price=fields.number_or_none("current_price"),
        market_value=fields.number_or_none("market_value"),
        unrealized_pl=fields.number_or_none("unrealized_pl"),
        raw=fields.row,
    )


def _position_symbol(fields: "_Fields") -> str:
    """Orders of a pair say BTC/USD, its position BTCUSD: one holding has one name."""
    symbol = fields.text("symbol")
    if fields.word("asset_class") != "crypto" or "/" in symbol:
        return symbol
    quoted_in = next((money for money in _QUOTES if symbol.endswith(money) and symbol != money), "")
    return f"{symbol.removesuffix(quoted_in)}/{quoted_in}" if quoted_in else symbol


def to_latest_prices(document: object, symbols: Collection[str]) -> dict[str, Decimal]:
    """Return the prices of those of the symbols that the answer to "latest trades" names."""
    trades = _Fields("latest trades", document).row.get("trades")
    rows = _Fields("latest trades", trades).row
    prices = {}
    for symbol in symbols:
        if symbol not in rows:
            continue
        fields = _Fields(f"latest trade of {symbol}", rows[symbol])
        prices[symbol] = fields.number("p")
        if prices[symbol] <= 0:
            raise fields.unreadable(f"its price is {prices[symbol]:f}")
    return prices


def to_bars(document: object, symbols: Collection[str]) -> tuple[dict[str, list[BrokerBar]], str]:
    """Return the bars of one page by symbol, and the token of the next page, empty after the last."""
    answer = _Fields("bars", document)
    rows = _Fields("bars", answer.row.get("bars") or {}).row  # nothing at all is null
    found: dict[str, list[BrokerBar]] = {}
    for symbol in symbols:
        if symbol in rows:
            if not isinstance(rows[symbol], list):
                raise answer.unreadable(f"the bars of {symbol} are no list")
            found[symbol] = [_to_bar(symbol, row) for row in rows[symbol]]
    return found, answer.word("next_page_token")


def _to_bar(symbol: str, row: object) -> BrokerBar:
    fields = _Fields(f"bar of {symbol}", row)
    bar = BrokerBar(
        starts_at=fields.moment("t"),
        open=fields.number("o"),
        high=fields.number("h"),
        low=fields.number("l"),
        close=fields.number("c"),
        volume=fields.number("v"),
    )
    if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise fields.unreadable(f"open {bar.open:f} and close {bar.close:f} do not lie within low and high")
    return bar


def to_equity_history(document: object) -> list[BrokerEquity]:
    """Return the days of a portfolio history that have a figure; days before the account began have none."""
    answer = _Fields("portfolio history", document)
    instants, values = answer.row.get("timestamp") or [], answer.row.get("equity") or []
    if not isinstance(instants, list) or not isinstance(values, list) or len(instants) != len(values):
        raise answer.unreadable("its times and its figures are not two lists of one length")
    found = []
    for instant, value in zip(instants, values, strict=True):
        fields = _Fields("portfolio history", {"timestamp": instant, "equity": value})
        equity, seconds = fields.number_or_none("equity"), fields.number("timestamp")
        if equity is not None:
            day = datetime.fromtimestamp(int(seconds), times.NEW_YORK).date()
            found.append(BrokerEquity(day=day, equity=equity))
    return found


def order_body(request: OrderRequest) -> dict[str, Any]:
    """Return the JSON body; numbers go out as strings, so that every digit arrives."""
    body: dict[str, Any] = {
        "symbol": request.symbol,
        "side": request.side,
        "type": request.order_type,
        "time_in_force": request.time_in_force,
        "client_order_id": request.client_order_id,
    }
    for name in ("qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent"):
        body[name] = plain(getattr(request, name))
    body["extended_hours"] = request.extended_hours or None
    body["order_class"] = request.order_class or None
    body["take_profit"] = _given({"limit_price": plain(request.take_profit_limit_price)})
    body["stop_loss"] = _given(
        {"stop_price": plain(request.stop_loss_stop_price), "limit_price": plain(request.stop_loss_limit_price)}
    )
    return _given(body) or {}


def replacement_body(wanted: Replacement) -> dict[str, Any]:
    body: dict[str, Any] = {name: plain(getattr(wanted, name)) for name in ("qty", "limit_price", "stop_price")}
    body |= {"time_in_force": wanted.time_in_force or None, "client_order_id": wanted.client_order_id}
    return _given(body) or {}


def _given(body: dict[str, Any]) -> dict[str, Any] | None:
    return {name: value for name, value in body.items() if value is not None} or None


class _Fields:
    """The fields of one JSON object, each read as what it must be. null and "" are both no value."""

    def __init__(self, what: str, row: object) -> None:
        self._what = what
        if not isinstance(row, Mapping):
            raise UnreadableAnswer(f"Alpaca's {what} is no JSON object.")
        self.row: Raw = row

    def unreadable(self, complaint: str) -> UnreadableAnswer:
        name = self.row.get("id") or self.row.get("symbol") or ""
        return UnreadableAnswer(f"Alpaca's {self._what} {name!s:.60} cannot be read: {complaint}.".replace("  ", " "))

    def word(self, name: str) -> str:
        value = self.row.get(name)
        if value.__class__ is str:  # nearly always, and this is asked some millions of times
            return str(value)
        if value is None:
            return ""
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        raise self.unreadable(f"{name} is no text")

    def present(self, name: str) -> str:
        """The value may be empty, but a row without the field is a part of a row."""
        if name not in self.row:
            raise self.unreadable(f"{name} is missing")
        return self.word(name)

    def text(self, name: str) -> str:
        if value := self.word(name):
            return value
        raise self.unreadable(f"{name} is missing")

    def flag(self, name: str) -> bool:
        value = self.row.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.unreadable(f"{name} is neither true nor false")

    def number_or_none(self, name: str) -> Decimal | None:
        text = self.word(name)
        try:
            return exact(text) if text else None
        except ValueError as error:
            raise self.unreadable(f"{name} is {text[:40]!r}, a number was expected") from error

    def number(self, name: str) -> Decimal:
        value = self.number_or_none(name)
        if value is None:
            raise self.unreadable(f"{name} is missing")
        return value

    def moment_or_none(self, name: str) -> datetime | None:
        text = self.word(name)
        try:
            return times.moment(text) if text else None
        except ValueError as error:
            raise self.unreadable(f"{name} is {text[:40]!r}, a time was expected") from error

    def moment(self, name: str) -> datetime:
        value = self.moment_or_none(name)
        if value is None:
            raise self.unreadable(f"{name} is missing")
        return value
