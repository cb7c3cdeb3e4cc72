"""What changes the past: busted executions, and splits."""

import uuid
from dataclasses import replace
from decimal import Decimal

from . import activities
from .accounts import Account
from .activities import Activity
from .numbers import ZERO, divide, plain
from .orders import Order, round_average
from .simulator import Simulator
from .times import format_instant


def bust(simulator: Simulator, account: Account, execution: Activity, *, remove: bool) -> Order:
    """The order keeps its status: `filled` with a filled_qty of 0 is what a bust looks like."""
    body, order = execution.body, account.orders[execution.body["order_id"]]
    qty, price, now = Decimal(body["qty"]), Decimal(body["price"]), simulator.venue.clock.now()
    if qty <= 0 or qty > order.filled_qty:
        raise ValueError("the execution is busted already")
    left = order.filled_qty - qty
    cost = order.filled_qty * (order.filled_avg_price or ZERO) - qty * price
    order.filled_qty, order.filled_avg_price = left, round_average(cost / left) if left else None
    order.updated_at = now
    account.mark(order)
    simulator.execution.move_position(account, order.symbol, -order.sign * qty, price)
    if remove:
        account.activities.remove(execution)
        account.dirty["activity", execution.id] = None
    else:
        _add_reversal(account, order, body["side"], qty, price, now)
    simulator.venue.emit(
        account, "trade_bust", order, execution_id=str(uuid.uuid4()), previous_execution_id=str(uuid.uuid4()),
        qty=plain(-qty), price=plain(price), timestamp=format_instant(now),
        position_qty=plain(simulator.venue.position(account, order.symbol).qty),
    )  # fmt: skip
    return order


def _add_reversal(account: Account, order: Order, side: str, qty: Decimal, price: Decimal, now: int) -> None:
    body = activities.fill_body(
        order_id=order.id, symbol=order.symbol, side=side, qty=-qty, price=price, cum_qty=order.filled_qty,
        leaves_qty=ZERO, at=now,
    )  # fmt: skip
    account.add_activity(now, body)


def split(simulator: Simulator, symbol: str, ratio: Decimal) -> list[str]:
    """Positions, working GTC orders and the price change together; orders of a group are left alone."""
    venue = simulator.venue
    price = venue.price(symbol)
    venue.prices.pin(symbol, divide(price, ratio).quantize(Decimal("0.01")))
    touched = []
    for account in venue.accounts.values():
        position = account.positions.get(symbol)
        if position is None:
            continue
        after = replace(
            position, qty=position.qty * ratio, overnight_qty=position.overnight_qty * ratio,
            avg_entry_price=divide(position.avg_entry_price, ratio),
        )  # fmt: skip
        account.change_position(symbol, after, venue.scheduler.now())
        now = venue.clock.now()
        account.add_activity(
            now, activities.entry_body("SPLIT", now, symbol=symbol, qty=plain(after.qty - position.qty))
        )
        for order in account.live.values():
            if order.symbol == symbol and order.time_in_force == "gtc" and order.group_id is None:
                _split_order(order, ratio)
                account.mark(order)
        touched.append(account.key_id)
    return touched


def _split_order(order: Order, ratio: Decimal) -> None:
    if order.qty is not None:
        order.qty *= ratio
    for name in ("limit_price", "stop_price"):
        price = getattr(order, name)
        if price is not None:
            setattr(order, name, divide(price, ratio).quantize(Decimal("0.01")))
