"""What happens to shares without a trade: splits, new names, transfers. Each leaves its entries, linked by a group."""

import uuid
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from . import activities
from .accounts import Account
from .numbers import cents, divide, plain
from .orders import Order
from .positions import Position
from .simulator import Simulator

_WHOLE = Decimal(1)


def split(simulator: Simulator, symbol: str, ratio: Decimal, *, cash_in_lieu: bool = False) -> list[str]:
    """Positions, working GTC orders and the price change together; orders of a group are left alone.

    With `cash_in_lieu` the fraction of a share that is left over is paid for in cash at the new price.
    """
    venue = simulator.venue
    price = divide(venue.price(symbol), ratio).quantize(Decimal("0.01"))
    venue.prices.pin(symbol, price)
    touched = []
    for account in venue.accounts.values():
        position = account.positions.get(symbol)
        if position is None:
            continue
        after = replace(
            position, qty=position.qty * ratio, overnight_qty=position.overnight_qty * ratio,
            avg_entry_price=divide(position.avg_entry_price, ratio),
        )  # fmt: skip
        group = str(uuid.uuid4())
        _note(simulator, account, "SPLIT", symbol=symbol, qty=plain(after.qty - position.qty), group_id=group)
        if cash_in_lieu:
            after = _pay_fraction(simulator, account, after, price, group)
        account.change_position(symbol, after, venue.scheduler.now())
        for order in account.live.values():
            if order.symbol == symbol and order.time_in_force == "gtc" and order.group_id is None:
                _split_order(order, ratio)
                account.mark(order)
        touched.append(account.key_id)
    return touched


def _pay_fraction(simulator: Simulator, account: Account, position: Position, price: Decimal, group: str) -> Position:
    whole = position.qty.quantize(_WHOLE, rounding=ROUND_DOWN)
    fraction = position.qty - whole
    if not fraction:
        return position
    amount = cents(fraction * price)
    account.add_cash(amount)
    _note(
        simulator, account, "SPLIT", symbol=position.symbol, qty=plain(-fraction), price=plain(price),
        net_amount=plain(amount), description="Cash in lieu of a fraction", group_id=group,
    )  # fmt: skip
    return replace(position, qty=whole, overnight_qty=whole)


def _split_order(order: Order, ratio: Decimal) -> None:
    if order.qty is not None:
        order.qty *= ratio
    for name in ("limit_price", "stop_price"):
        price = getattr(order, name)
        if price is not None:
            setattr(order, name, divide(price, ratio).quantize(Decimal("0.01")))


def rename(simulator: Simulator, old: str, new: str) -> list[str]:
    """The asset keeps its id, positions come under the new symbol, and orders that still work are cancelled."""
    venue = simulator.venue
    asset = venue.asset_of(old)
    venue.prices.pin(new, venue.price(old))
    venue.assets.add(replace(asset, symbol=new, born_as=asset.born_as or old))
    touched = []
    for account in venue.accounts.values():
        for order in [order for order in account.live.values() if order.symbol == old]:
            simulator.execution.end(account, order, "canceled")
        position = account.positions.get(old)
        if position is None:
            continue
        group = str(uuid.uuid4())
        account.change_position(old, None, venue.scheduler.now())
        account.change_position(new, replace(position, symbol=new), venue.scheduler.now())
        _note(simulator, account, "NC", symbol=old, qty=plain(-position.qty), group_id=group)
        _note(simulator, account, "NC", symbol=new, qty=plain(position.qty), group_id=group)
        touched.append(account.key_id)
    return touched


def transfer(
    simulator: Simulator, account: Account, symbol: str, qty: Decimal, price: Decimal | None, activity_type: str
) -> dict[str, Any]:
    """Shares come (or, with a negative quantity, go) without a trade; `price` is the basis that comes with them."""
    position = account.positions.get(symbol) or Position(symbol)
    basis = price if price is not None else simulator.venue.price(symbol)
    after = replace(position)
    after.apply(qty, basis)
    account.change_position(symbol, after, simulator.venue.scheduler.now())
    fields = {} if price is None else {"price": plain(price)}
    return _note(simulator, account, activity_type, symbol=symbol, qty=plain(qty), **fields)


def money(account: Account, cash: Decimal, equity_off: Decimal | None) -> dict[str, str]:
    """Cash without any entry that tells of it, and an equity that Alpaca itself gets wrong."""
    account.add_cash(cash)
    if equity_off is not None:
        account.equity_off = equity_off
    return {"cash": plain(account.cash), "equity_off": plain(account.equity_off)}


def _note(simulator: Simulator, account: Account, activity_type: str, **fields: str) -> dict[str, Any]:
    now = simulator.venue.clock.now()
    return account.add_activity(now, activities.entry_body(activity_type, now, **fields)).body
