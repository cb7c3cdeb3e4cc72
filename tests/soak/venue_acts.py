"""What Alpaca does by itself to shares, money and trades that were long done."""

from decimal import Decimal
from random import Random

from orders.models import Order
from tests.soak.acts import act
from tests.soak.world import SYMBOLS, World


@act(1)
def alpaca_corrects_a_price(world: World, random: Random) -> str:
    fills = world.exchange.executions()
    if not fills:
        return "nothing to correct"
    body = random.choice(fills)
    price = str((Decimal(body["price"]) * Decimal(random.choice(["0.9", "1.01"]))).quantize(Decimal("0.01")))
    said = world.exchange.act("correct", activity_id=body["id"], price=price)
    return f"Alpaca corrects {body['side']} {body['qty']} {body['symbol']} to {price} {said}"


@act(1)
def alpaca_busts_twice(world: World, random: Random) -> str:
    """Two executions of one order, or one and its reversal: what is left must still add up."""
    fills = [body for body in world.exchange.activities(fills=True) if Decimal(body["qty"]) > 0]
    if not fills:
        return "nothing to bust"
    first = random.choice(fills)
    same = [body for body in fills if body["order_id"] == first["order_id"]][:2]
    said = [world.exchange.act("bust", activity_id=body["id"], remove=random.random() < 0.5) for body in same]
    return f"Alpaca busts {len(same)} of {first['side']} {first['symbol']} {'; '.join(filter(None, said))}"


@act(1)
def alpaca_liquidates(world: World, random: Random) -> str:
    symbol, qty = random.choice(world.symbols), random.choice([None, "1"])
    return f"Alpaca closes {qty or 'all'} {symbol} by itself {world.exchange.act('liquidate', key_id='sim', symbol=symbol, qty=qty)}"  # noqa: E501


@act(1)
def shares_are_transferred(world: World, random: Random) -> str:
    symbol, qty = random.choice(world.symbols), random.choice(["3", "10", "-2"])
    price = random.choice([None, "87.5"])
    said = world.exchange.act("transfer", key_id="sim", symbol=symbol, qty=qty, price=price)
    return f"{qty} {symbol} are transferred, basis {price} {said}"


@act(1)
def a_company_takes_a_new_symbol(world: World, random: Random) -> str:
    held = [symbol for symbol in SYMBOLS if symbol in world.exchange.holdings()]
    if not held:
        return "nothing to rename"
    old = random.choice(held)
    if Order.objects.filter(symbol=old, is_booked=False).exists():
        return f"{old} keeps its symbol: the simulator would still take our orders under the old one"
    new = world.exchange.new_names[old] = f"{old[:2]}{random.choice('VWXYZ')}{random.choice('VWXYZ')}"
    return f"{old} becomes {new} {world.exchange.act('rename', symbol=old, to=new)}"


@act(1)
def a_split_pays_its_fraction(world: World, random: Random) -> str:
    symbol, ratio = random.choice(world.symbols), random.choice(["0.5", "0.1", "1.5"])
    said = world.exchange.act("split", symbol=symbol, ratio=ratio, cash_in_lieu=True)
    return f"{symbol} splits {ratio} to 1, fractions in cash {said}"


@act(1)
def cash_moves_without_an_entry(world: World, random: Random) -> str:
    amount = random.choice(["-12.34", "40"])
    world.exchange.unentered += Decimal(amount)
    return f"{amount} of cash without an entry {world.exchange.act('money', key_id='sim', cash=amount)}"


@act(1)
def the_account_is_reset(world: World, random: Random) -> str:
    if random.random() < 0.6:  # a story should have something to lose
        return "the account is not reset"
    world.exchange.unentered = Decimal(0)
    return f"Alpaca resets the account {world.exchange.act('reset_account', key_id='sim')}"
