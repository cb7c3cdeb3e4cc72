"""What a test or a demonstration makes happen from outside of the API."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from . import corporate, corrections, entry
from .accounts import Account
from .activities import Activity, entry_body
from .clock import MODES
from .numbers import plain
from .orders import TERMINAL, Order
from .requests import parse_order
from .simulator import Simulator
from .times import format_instant, parse_instant

Action = Callable[[Simulator, dict[str, Any]], Any]


def _account(simulator: Simulator, document: dict[str, Any]) -> Account:
    return simulator.venue.account(_required(document, "key_id"))


def _required(document: dict[str, Any], name: str) -> str:
    if not document.get(name):
        raise ValueError(f"{name} is required")
    return str(document[name])


def _order(simulator: Simulator, document: dict[str, Any]) -> tuple[Account, Order]:
    order_id = _required(document, "order_id")
    for account in simulator.venue.accounts.values():
        if order_id in account.orders:
            return account, account.orders[order_id]
    raise ValueError(f"there is no order {order_id}")


def manual_order(simulator: Simulator, document: dict[str, Any]) -> Any:
    """An order placed by a person in another program, under a client_order_id that nobody here chose."""
    fields = {name: value for name, value in document.items() if name not in {"key_id", "client_order_id"}}
    fields = {"type": "market", "time_in_force": "day", **fields}
    account = _account(simulator, document)
    order = entry.submit(simulator.venue, simulator.execution, account, parse_order(fields))
    return order.to_json(account.legs(order))


def liquidate(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Alpaca closes a position by itself, wholly unless `qty` is given: a market order that nobody asked for."""
    account, symbol = _account(simulator, document), _required(document, "symbol")
    held = simulator.venue.position(account, symbol).qty
    if not held:
        raise ValueError(f"nothing is held in {symbol}")
    qty = document.get("qty") or plain(abs(held))
    fields = {"symbol": symbol, "qty": qty, "side": "sell" if held > 0 else "buy", "type": "market"}
    request = parse_order({**fields, "time_in_force": "day"})
    order = entry.submit(simulator.venue, simulator.execution, account, request)
    order.source = str(document.get("source") or "liquidation")
    account.mark(order)
    return order.to_json()


def status(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Leaves an open order in a state of passage: `status`, and since when (`since`, now)."""
    account, order = _order(simulator, document)
    word = _required(document, "status")
    if order.is_terminal or word in TERMINAL:
        raise ValueError("only an open order can be left in an open state")
    since = parse_instant(document["since"]) if document.get("since") else simulator.venue.clock.now()
    account.set_status(order, word, since)
    return order.to_json()


def terms(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Changes an order's terms without a replacement: prices, quantity, side, type or time in force."""
    account, order = _order(simulator, document)
    for name in ("qty", "limit_price", "stop_price"):
        if document.get(name) is not None:
            setattr(order, name, Decimal(str(document[name])))
    for name in ("side", "type", "time_in_force"):
        if document.get(name):
            setattr(order, name, str(document[name]))
    account.mark(order)
    return order.to_json()


def price(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Pins a symbol's price (null unpins it) and lets every order meet it."""
    symbol = _required(document, "symbol")
    if document.get("price") is None:
        simulator.venue.prices.unpin(symbol)
    else:
        simulator.venue.prices.pin(symbol, Decimal(str(document["price"])))
    simulator.execution.evaluate_all()
    return {"symbol": symbol, "price": str(simulator.venue.price(symbol))}


def clock(simulator: Simulator, document: dict[str, Any]) -> Any:
    """`mode`, and `pin` (time stands still), `at` (time runs on from there) or `follow` the host."""
    own = simulator.venue.clock
    if unknown := document.keys() - {"mode", "pin", "at", "follow", "key_id"}:
        raise ValueError(f"the clock knows no {', '.join(sorted(unknown))}")  # it would go on as if nothing was said
    mode = document.get("mode", own.mode)
    if mode not in MODES:
        raise ValueError(f"mode must be one of: {', '.join(MODES)}")
    own.mode = mode
    if document.get("pin"):
        own.pin(parse_instant(document["pin"]))
    elif document.get("at"):
        own.move_to(parse_instant(document["at"]))
    elif document.get("follow"):
        own.follow_host()
    simulator.execution.evaluate_all()
    return own.to_json() | {"mode": own.mode, "timestamp_utc": format_instant(own.now())}


def fill(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Fills an open order by hand, wholly unless `qty` is given, at the market unless `price` is."""
    account, order = _order(simulator, document)
    if order.is_terminal:
        raise ValueError(f"the order is already {order.status}")
    at = Decimal(str(document["price"])) if document.get("price") else simulator.venue.price(order.symbol)
    leaves = order.leaves_qty(at)
    qty = Decimal(str(document["qty"])) if document.get("qty") else leaves
    if not 0 < qty <= leaves:
        raise ValueError(f"qty must be above 0 and at most {leaves}")
    simulator.execution.fill(account, order, qty, at)
    return order.to_json()


def _end(status: str) -> Action:
    def end(simulator: Simulator, document: dict[str, Any]) -> Any:
        account, order = _order(simulator, document)
        if order.is_terminal:
            raise ValueError(f"the order is already {order.status}")
        simulator.execution.end(account, order, status)
        return order.to_json()

    return end


def reset_account(simulator: Simulator, document: dict[str, Any]) -> Any:
    account = simulator.venue.reset_account(_required(document, "key_id"))
    return {"id": account.id, "account_number": account.account_number}


def close_sockets(simulator: Simulator, document: dict[str, Any]) -> Any:
    return {"closed": simulator.hub.close_sockets(document.get("key_id"))}


def config(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Changes what is given and answers with everything that can be changed."""
    settings = simulator.venue.settings
    if "latency_ms" in document:
        simulator.latency_ms = float(document["latency_ms"])
    if "rate_limit" in document:
        simulator.limits.per_minute = int(document["rate_limit"])
    if "fill_delay_ms" in document:
        settings.fill_delay_ms = float(document["fill_delay_ms"])
    for name in ("partial_fills", "hold_fills"):
        if name in document:
            setattr(settings, name, bool(document[name]))
    simulator.execution.evaluate_all()
    return {
        "latency_ms": simulator.latency_ms,
        "rate_limit": simulator.limits.per_minute,
        "fill_delay_ms": settings.fill_delay_ms,
        "partial_fills": settings.partial_fills,
        "hold_fills": settings.hold_fills,
    }


def bust(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Takes an execution back: by `activity_id`, or the last one of `order_id`.

    It leaves a FILL of negative quantity, or, with `remove`, no trace of the execution.
    """
    account, activity = _execution(simulator, document)
    order = corrections.bust(simulator, account, activity, remove=bool(document.get("remove")))
    return order.to_json()


def correct(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Takes an execution back and books it anew at `price`: a trade that was corrected."""
    at = Decimal(_required(document, "price"))
    account, activity = _execution(simulator, document)
    return corrections.correct(simulator, account, activity, at).to_json()


def _execution(simulator: Simulator, document: dict[str, Any]) -> tuple[Account, Activity]:
    if document.get("activity_id"):
        for account in simulator.venue.accounts.values():
            if activity := account.activities.find(document["activity_id"]):
                return account, activity
        raise ValueError(f"there is no activity {document['activity_id']}")
    account, order = _order(simulator, document)
    executions = account.activities.of_order(order.id)
    if not executions:
        raise ValueError("the order has no execution")
    return account, executions[-1]


def split(simulator: Simulator, document: dict[str, Any]) -> Any:
    """`ratio` 2 makes two shares of one, 0.1 one of ten; in every account that holds the symbol.

    With `cash_in_lieu` what is left over of a share is paid in cash.
    """
    symbol, ratio = _required(document, "symbol"), Decimal(_required(document, "ratio"))
    if ratio <= 0:
        raise ValueError("ratio must be above 0")
    touched = corporate.split(simulator, symbol, ratio, cash_in_lieu=bool(document.get("cash_in_lieu")))
    return {"symbol": symbol, "accounts": touched}


def rename(simulator: Simulator, document: dict[str, Any]) -> Any:
    """The company takes the symbol `to`: the same asset under another name."""
    old, new = _required(document, "symbol"), _required(document, "to")
    return {"symbol": new, "accounts": corporate.rename(simulator, old, new)}


def transfer(simulator: Simulator, document: dict[str, Any]) -> Any:
    """Shares come from another broker, or go to one: `qty` is signed, `price` their basis, if Alpaca was told."""
    qty = Decimal(_required(document, "qty"))
    price = Decimal(str(document["price"])) if document.get("price") else None
    kind = str(document.get("activity_type") or "ACATS")
    return corporate.transfer(simulator, _account(simulator, document), _required(document, "symbol"), qty, price, kind)


def money(simulator: Simulator, document: dict[str, Any]) -> Any:
    """`cash`: dollars that come or go without any entry; `equity_off`: by how much the venue gets the equity wrong."""
    off = Decimal(str(document["equity_off"])) if document.get("equity_off") is not None else None
    return corporate.money(_account(simulator, document), Decimal(str(document.get("cash", 0))), off)


def activity(simulator: Simulator, document: dict[str, Any]) -> Any:
    """An entry that is no trade: `activity_type`, `net_amount` and any other field of one."""
    account = _account(simulator, document)
    at = simulator.venue.clock.now()
    fields = {n: v for n, v in document.items() if n not in {"key_id", "activity_type"}}
    body = entry_body(_required(document, "activity_type"), at, **fields)
    account.add_cash(Decimal(str(body["net_amount"])))
    return account.add_activity(at, body).body


ACTIONS: dict[str, Action] = {
    "bust": bust,
    "correct": correct,
    "liquidate": liquidate,
    "status": status,
    "terms": terms,
    "split": split,
    "rename": rename,
    "transfer": transfer,
    "money": money,
    "activity": activity,
    "manual_order": manual_order,
    "price": price,
    "clock": clock,
    "fill": fill,
    "cancel": _end("canceled"),
    "expire": _end("expired"),
    "reject": _end("rejected"),
    "reset_account": reset_account,
    "close_sockets": close_sockets,
    "config": config,
}
