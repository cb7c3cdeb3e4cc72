"""What a client sends, read into values; a field that is wrong on its own is refused here."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .errors import VenueError, malformed, unprocessable
from .numbers import ZERO, parse, places
from .orders import CLASSES, TIMES_IN_FORCE, TYPES

_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
_PRICES = {
    "limit": ("limit_price",),
    "stop": ("stop_price",),
    "stop_limit": ("stop_price", "limit_price"),
}
_MISSING_PRICE = {
    "limit": "limit orders require a limit price",
    "stop": "stop orders require a stop price",
    "stop_limit": "stop limit orders require both a stop and a limit price",
}


@dataclass(slots=True, kw_only=True)
class OrderRequest:
    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    client_order_id: str | None = None
    order_class: str = ""
    position_intent: str | None = None
    take_profit_limit: Decimal | None = None
    stop_loss_stop: Decimal | None = None
    stop_loss_limit: Decimal | None = None
    subtag: str | None = None

    @property
    def is_fractional(self) -> bool:
        return self.notional is not None or (self.qty is not None and self.qty != self.qty.to_integral_value())


def parse_flag(name: str, value: Any) -> bool:
    """Every spelling that Go's boolean parser takes, because that is what reads it at Alpaca."""
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return value
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    raise malformed(f"invalid value for {name}: {value!r}")


def parse_number(name: str, value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        return parse(value)
    except ValueError:
        raise malformed(f"invalid value for {name}: {value!r}") from None


def parse_positive(name: str, value: Any) -> Decimal | None:
    number = parse_number(name, value)
    if number is not None and number <= 0:
        raise unprocessable(f"{name} must be > 0")
    if number is not None and name in {"qty", "notional"} and places(number) > 9:
        raise unprocessable(f"{name} can have at most 9 decimal places")
    return number


def parse_client_order_id(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise malformed("client_order_id must be a string")
    if len(value) > 128:
        raise malformed("client_order_id must be no more than 128 characters")
    return value


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value is None or (value == "" and "" not in choices):
        raise malformed(f"{name} is required")
    if value not in choices:
        raise malformed(f"invalid {name} {value!r}")
    return str(value)


def parse_order(body: dict[str, Any]) -> OrderRequest:
    if body.get("order_class") == "mleg":
        raise unprocessable("options trading is not enabled for this account")
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise malformed("symbol is required")
    take_profit, stop_loss = _section(body, "take_profit"), _section(body, "stop_loss")
    intent = body.get("position_intent")
    request = OrderRequest(
        symbol=symbol,
        qty=parse_positive("qty", body.get("qty")),
        notional=parse_positive("notional", body.get("notional")),
        side=_choice("side", body.get("side"), ("buy", "sell")),
        type=_choice("type", body.get("type"), TYPES),
        time_in_force=_choice("time_in_force", body.get("time_in_force"), TIMES_IN_FORCE),
        limit_price=parse_positive("limit_price", body.get("limit_price")),
        stop_price=parse_positive("stop_price", body.get("stop_price")),
        trail_price=parse_positive("trail_price", body.get("trail_price")),
        trail_percent=parse_positive("trail_percent", body.get("trail_percent")),
        extended_hours=parse_flag("extended_hours", body.get("extended_hours")),
        client_order_id=parse_client_order_id(body.get("client_order_id")),
        order_class=_choice("order_class", body.get("order_class") or "", CLASSES).replace("simple", ""),
        position_intent=_choice("position_intent", intent, _INTENTS) if intent else None,
        take_profit_limit=parse_positive("take_profit.limit_price", take_profit.get("limit_price")),
        stop_loss_stop=parse_positive("stop_loss.stop_price", stop_loss.get("stop_price")),
        stop_loss_limit=parse_positive("stop_loss.limit_price", stop_loss.get("limit_price")),
        subtag=body.get("subtag"),
    )
    if request.order_class == "oco":
        _settle_oco(request)
    _check_size(request)
    _check_prices(request)
    _check_class(request)
    return request


def _section(body: dict[str, Any], name: str) -> dict[str, Any]:
    section = body.get(name) or {}
    if not isinstance(section, dict):
        raise malformed(f"{name} must be an object")
    return section


def _settle_oco(request: OrderRequest) -> None:
    """An OCO is its own take-profit: its limit may be given as the order's or as the take-profit's."""
    if request.type != "limit":
        raise unprocessable("oco orders must be limit orders")
    limit = request.take_profit_limit or request.limit_price
    if limit is None:
        raise unprocessable("oco orders require take_profit.limit_price")
    request.take_profit_limit = request.limit_price = limit


def _check_size(request: OrderRequest) -> None:
    if request.qty is None and request.notional is None:
        raise malformed("qty or notional is required")
    if request.qty is not None and request.notional is not None:
        raise malformed("only one of qty or notional is accepted")
    if request.notional is not None and request.notional < 1:
        raise unprocessable("notional must be >= 1.00")


def _check_prices(request: OrderRequest) -> None:
    if any(getattr(request, name) is None for name in _PRICES.get(request.type, ())):
        raise malformed(_MISSING_PRICE[request.type])
    if request.type == "trailing_stop" and (request.trail_price is None) == (request.trail_percent is None):
        raise malformed("trailing stop orders must specify one of trail_percent or trail_price")
    if request.type in {"market", "trailing_stop"} and (request.limit_price or request.stop_price):
        raise unprocessable(f"{request.type.replace('_', ' ')} orders must not have a limit or stop price")
    for name in ("limit_price", "stop_price", "take_profit_limit", "stop_loss_stop", "stop_loss_limit"):
        label = {"take_profit_limit": "take_profit.limit_price", "stop_loss_stop": "stop_loss.stop_price",
                 "stop_loss_limit": "stop_loss.limit_price"}.get(name, name)  # fmt: skip
        check_tick(label, getattr(request, name))


def check_tick(name: str, price: Decimal | None) -> None:
    if price is not None and places(price) > (2 if price >= 1 else 4):
        raise _sub_penny(name, price)


def _sub_penny(name: str, price: Decimal) -> VenueError:
    return unprocessable(f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria")


def _check_class(request: OrderRequest) -> None:
    kind = request.order_class
    exits = (request.take_profit_limit is not None, request.stop_loss_stop is not None)
    if kind == "":
        if any(exits):
            raise unprocessable("simple orders must not have take_profit or stop_loss")
        return
    if request.type == "trailing_stop":
        raise unprocessable("trailing stop orders must be simple orders")
    if request.time_in_force not in {"day", "gtc"}:
        raise unprocessable(f"{kind} orders must be DAY or GTC orders")
    if request.extended_hours:
        raise unprocessable("extended hours order must be simple orders")
    if request.is_fractional:
        raise unprocessable("fractional orders must be simple orders")
    if kind in {"bracket", "oco"}:
        if request.take_profit_limit is None:
            raise unprocessable(f"{kind} orders require take_profit.limit_price")
        if request.stop_loss_stop is None:
            raise unprocessable(f"{kind} orders require stop_loss.stop_price")
    elif sum(exits) != 1:
        raise unprocessable("oto orders require either take_profit.limit_price or stop_loss.stop_price")
    _check_exit_prices(request)


def _check_exit_prices(request: OrderRequest) -> None:
    profit, loss = request.take_profit_limit, request.stop_loss_stop
    entry_buys = (request.side == "buy") != (request.order_class == "oco")
    if profit is None or loss is None:
        return
    if (profit - loss if entry_buys else loss - profit) <= ZERO:
        word = ">" if entry_buys else "<"
        raise unprocessable(f"take_profit.limit_price must be {word} stop_loss.stop_price")
