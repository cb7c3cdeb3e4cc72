"""Everything that may happen on a day. Each act draws its details from a seed of its own and says what it did."""

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from alpacasim.orders import Order
from tests.soak.virtual import TIME
from tests.soak.world import World

Act = Callable[[World, Random], str]
#: How often each is drawn, by its name.
ACTS: dict[str, tuple[int, Act]] = {}


def act(weight: int) -> Callable[[Act], Act]:
    def add(function: Act) -> Act:
        ACTS[function.__name__] = (weight, function)
        return function

    return add


# --- The market and Alpaca ------------------------------------------------------------------------------------


@act(10)
def time_passes(world: World, random: Random) -> str:
    seconds = random.choice([0.3, 2, 20, 90, 900, 5400])
    TIME.advance(seconds)
    return f"{seconds} s pass"


@act(6)
def price_moves(world: World, random: Random) -> str:
    symbol = random.choice(world.symbols)
    price = world.exchange.simulator.venue.price(symbol) * Decimal(
        random.choice(["0.8", "0.97", "0.99", "1.02", "1.2"])
    )
    price = min(max(price, Decimal(20)), Decimal(400)).quantize(Decimal("0.01"))
    world.exchange.act("price", symbol=symbol, price=str(price))
    return f"{symbol} trades at {price}"


@act(9)
def somebody_trades(world: World, random: Random) -> str:
    terms = order_terms(world, random)
    said = world.exchange.act("manual_order", key_id="sim", **terms)
    return f"somebody orders in Alpaca's app: {in_words(terms)} {said}"


@act(4)
def somebody_cancels(world: World, random: Random) -> str:
    order = _any(world, random)
    return f"somebody cancels {_name(order)} {world.exchange.cancel(order)}" if order else "nothing to cancel"


@act(4)
def somebody_replaces(world: World, random: Random) -> str:
    order = _any(world, random)
    if order is None:
        return "nothing to replace"
    changes: dict[str, str] = {}
    if order.qty is not None and random.random() < 0.6:
        changes["qty"] = str(int(order.qty) + random.randint(1, 4))
    for name in ("limit_price", "stop_price"):
        if (price := getattr(order, name)) is not None and random.random() < 0.7:
            changes[name] = str((price * Decimal(random.choice(["0.98", "1.01"]))).quantize(Decimal("0.01")))
    return f"somebody replaces {_name(order)} by {changes} {world.exchange.replace(order, **changes)}"


@act(6)
def alpaca_fills_a_part(world: World, random: Random) -> str:
    order = _any(world, random)
    if order is None:
        return "nothing to fill"
    said = world.exchange.act("fill", order_id=order.id, qty=random.choice(["1", "2"]))
    return f"Alpaca fills a part of {_name(order)} {said}"


@act(1)
def alpaca_ends_an_order(world: World, random: Random) -> str:
    order, how = _any(world, random), random.choice(["expire", "reject", "cancel"])
    return f"{how} of {_name(order)} {world.exchange.act(how, order_id=order.id)}" if order else "nothing to end"


@act(1)
def alpaca_busts(world: World, random: Random) -> str:
    fills = world.exchange.executions()
    if not fills:
        return "nothing to bust"
    body, remove = random.choice(fills), random.random() < 0.5
    said = world.exchange.act("bust", activity_id=body["id"], remove=remove)
    return f"Alpaca busts {body['side']} {body['qty']} {body['symbol']}{' without a trace' if remove else ''} {said}"


@act(1)
def a_split(world: World, random: Random) -> str:
    symbol, ratio = random.choice(world.symbols), random.choice(["2", "3", "0.5"])
    return f"{symbol} splits {ratio} to 1 {world.exchange.act('split', symbol=symbol, ratio=ratio)}"


@act(2)
def cash_moves(world: World, random: Random) -> str:
    kind, amount = random.choice([("DIV", "4.79"), ("FEE", "-0.35"), ("INT", "1.10"), ("CSD", "500"), ("CSW", "-20")])
    fields = {"symbol": random.choice(world.symbols)} if kind == "DIV" else {}
    said = world.exchange.act("activity", key_id="sim", activity_type=kind, net_amount=amount, **fields)
    return f"{kind} {amount} {said}"


@act(2)
def alpaca_is_slow_to_fill(world: World, random: Random) -> str:
    options: dict[str, Any] = random.choice(
        [{"hold_fills": True}, {"hold_fills": False}, {"partial_fills": True}, {"fill_delay_ms": 900}]
    )
    world.exchange.act("config", **options)
    return f"the market: {options}"


# --- What goes wrong ------------------------------------------------------------------------------------------

_PATHS = ("/v2/orders", "/v2/orders", "/v2/account", "/v2/positions", "/v2/account/activities", "/v2/clock", "/v2/")
_FAULTS = {
    "POST": ("drop_answer", "delay_answer", "delay_accept", "status_after_accept", "status", "garbage", "hang",
             "truncated_body"),
    "PATCH": ("reject_replacement", "drop_answer", "status_after_accept", "hang"),
    "DELETE": ("drop_answer", "status", "hang"),
    "GET": ("drop_answer", "delay_answer", "status", "garbage", "hang", "truncated_body", "truncated_page",
            "empty_list", "unknown_status", "positions_lag"),
}  # fmt: skip


@act(7)
def the_api_fails(world: World, random: Random) -> str:
    method = random.choice(["POST", "POST", "GET", "GET", "GET", "PATCH", "DELETE"])
    kind = random.choice(_FAULTS[method])
    path = "/v2/orders" if method != "GET" else random.choice(_PATHS)
    document: dict[str, Any] = {"match": {"method": method, "path": path}, "after": random.choice([0, 0, 1, 3])}
    document["times"] = random.choice([1, 1, 2, 5, None])
    if kind == "status":
        document["status"] = random.choice([429, 500, 503, 401 if method == "GET" else 502])
    if kind.startswith("delay"):
        document["seconds"] = random.choice([12, 25, 45])
    if kind == "hang":
        document["accept"] = random.random() < 0.5
    if kind == "truncated_body":
        document["close"] = random.random() < 0.5
    if kind == "positions_lag":
        document["seconds"] = random.choice([5, 60])
    world.exchange.simulator.faults.add({"fault": kind, **document})
    return f"from now on {kind} {document}"


@act(3)
def the_api_recovers(world: World, random: Random) -> str:
    world.exchange.simulator.faults.remove()
    return "the API is well again"


@act(6)
def the_process_will_die(world: World, random: Random) -> str:
    after, sort = random.random() < 0.5, random.choice(["statement", "statement", "request", "point"])
    when = "after" if after else "before"
    if sort == "statement":
        number = random.choice([1, 3, 8, 20, 50, 120, 300])
        world.process.die_at_statement(number, after=after)
        return f"the process will die {when} its statement {number} from here"
    if sort == "request":
        number = random.choice([1, 2, 4, 8])
        world.process.die_at_request(number, after=after)
        return f"the process will die {when} its request {number} from here"
    from orders.crash_points import POINTS

    point = random.choice(POINTS)
    world.process.die_at_point(point)
    return f"the process will die at {point}"


@act(4)
def the_database_fails(world: World, random: Random) -> str:
    if random.random() < 0.4:
        number = random.choice([1, 4, 15, 60, 200])
        world.process.fail_at_statement(number)
        return f"the database will fail at statement {number} from here"
    seconds = random.choice([0.4, 5, 45, 400])
    world.process.lock_database(world.database, seconds)
    return f"another program locks the database for {seconds} s"


@act(1)
def the_clock_is_wrong(world: World, random: Random) -> str:
    TIME.skew = random.choice([0, 0, -3, 4, -90, 240])
    return f"the product's clock is {TIME.skew} s ahead"


# --- Terms of orders ------------------------------------------------------------------------------------------


def order_terms(world: World, random: Random) -> dict[str, object]:
    """Terms that Alpaca may take, of every type and class."""
    symbol = random.choice(world.symbols)
    price = world.exchange.simulator.venue.price(symbol)
    held = world.exchange.holdings().get(symbol, Decimal(0))
    side = random.choice(["buy", "buy", "sell"]) if held <= 0 else random.choice(["buy", "sell", "sell"])
    terms: dict[str, object] = {"symbol": symbol, "side": side, "time_in_force": random.choice(["day", "day", "gtc"])}
    sort = random.choice(["market", "market", "market", "notional", "fraction", "limit", "limit", "stop", "stop_limit",
                          "trailing_stop", "bracket", "bracket", "oco", "oto", "everything"])  # fmt: skip
    up = 1 if side == "buy" else -1
    terms["qty"] = str(random.randint(1, 12))
    terms["type"] = sort if sort in {"limit", "stop", "stop_limit", "trailing_stop"} else "market"
    if sort == "notional":
        terms |= {"notional": str(random.choice([100, 333, 1000])), "time_in_force": "day"}
        del terms["qty"]
    elif sort == "fraction":
        terms |= {"qty": random.choice(["0.5", "1.25", "3.333"]), "time_in_force": "day"}
    elif sort == "everything" and held:
        terms |= {"side": "sell" if held > 0 else "buy", "qty": str(abs(held)), "time_in_force": "day"}
    elif sort in {"limit", "stop_limit"}:
        terms["limit_price"] = _near(price, random.choice([-8, -3, 2]) * up)
    if sort in {"stop", "stop_limit"}:
        terms["stop_price"] = _near(price, random.choice([3, 8]) * up)
    if sort == "trailing_stop":
        terms["trail_percent"] = "5"
    if sort in {"bracket", "oco", "oto"}:
        terms |= _group(sort, price, up)
        if sort == "oco":
            terms |= {"side": "sell" if held >= 0 else "buy", "qty": str(max(int(abs(held)), 1)), "type": "limit"}
            up = 1 if held < 0 else -1
            terms |= _group(sort, price, -up)
            terms["time_in_force"] = "gtc"
    return terms


def _group(sort: str, price: Decimal, up: int) -> dict[str, object]:
    """Exits of an entry that goes up (buys) or down; of an OCO, of what is held."""
    profit, loss = {"limit_price": _near(price, 12 * up)}, {"stop_price": _near(price, -8 * up)}
    if sort == "oto":
        return {"order_class": sort, "stop_loss": loss}
    found: dict[str, object] = {"order_class": sort, "take_profit": profit, "stop_loss": loss}
    return found


def _near(price: Decimal, percent: int) -> str:
    return str((price * (100 + percent) / 100).quantize(Decimal("0.01")))


def in_words(terms: dict[str, object]) -> str:
    size = terms.get("qty") or f"${terms.get('notional')}"
    rest = {k: v for k, v in terms.items() if k not in {"side", "qty", "notional", "symbol"}}
    return f"{terms['side']} {size} {terms['symbol']} {rest}"


def _any(world: World, random: Random) -> Order | None:
    working = sorted(world.exchange.working(), key=lambda order: order.sort_key)
    return random.choice(working) if working else None


def _name(order: Order | None) -> str:
    if order is None:
        return "nothing"
    return f"{order.side} {order.qty or order.notional} {order.symbol} {order.type} {order.status} {order.id[:8]}"
