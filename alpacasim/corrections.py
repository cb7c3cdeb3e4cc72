"""What changes the past: busted executions."""

import uuid
from decimal import Decimal

from . import activities
from .accounts import Account
from .activities import Activity
from .numbers import ZERO, plain
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
    symbol = simulator.venue.symbol_now(order.symbol)
    simulator.execution.move_position(account, symbol, -order.sign * qty, price)
    if remove:
        account.activities.remove(execution)
        account.dirty["activity", execution.id] = None
    else:
        _add_reversal(account, order, body["side"], qty, price, now)
    simulator.venue.emit(
        account, "trade_bust", order, execution_id=str(uuid.uuid4()), previous_execution_id=str(uuid.uuid4()),
        qty=plain(-qty), price=plain(price), timestamp=format_instant(now),
        position_qty=plain(simulator.venue.position(account, symbol).qty),
    )  # fmt: skip
    return order


def correct(simulator: Simulator, account: Account, execution: Activity, price: Decimal) -> Order:
    """The execution is taken back and booked once more at the right price; the quantity stays."""
    order = bust(simulator, account, execution, remove=False)
    qty, before, now = Decimal(execution.body["qty"]), order.filled_qty, simulator.venue.clock.now()
    cost = before * (order.filled_avg_price or ZERO) + qty * price
    order.filled_qty = before + qty
    order.filled_avg_price = round_average(cost / order.filled_qty)
    account.mark(order)
    body = activities.fill_body(
        order_id=order.id, symbol=order.symbol, side=execution.body["side"], qty=qty, price=price,
        cum_qty=order.filled_qty, leaves_qty=ZERO, at=now,
    )  # fmt: skip
    account.add_activity(now, body)
    symbol = simulator.venue.symbol_now(order.symbol)
    simulator.execution.move_position(account, symbol, order.sign * qty, price)
    simulator.venue.emit(
        account, "trade_correct", order, execution_id=str(uuid.uuid4()), previous_execution_id=str(uuid.uuid4()),
        qty=plain(qty), price=plain(price), timestamp=format_instant(now),
        position_qty=plain(simulator.venue.position(account, symbol).qty),
    )  # fmt: skip
    return order


def _add_reversal(account: Account, order: Order, side: str, qty: Decimal, price: Decimal, now: int) -> None:
    body = activities.fill_body(
        order_id=order.id, symbol=order.symbol, side=side, qty=-qty, price=price, cum_qty=order.filled_qty,
        leaves_qty=ZERO, at=now,
    )  # fmt: skip
    account.add_activity(now, body)
