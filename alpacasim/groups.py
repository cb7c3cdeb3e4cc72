"""Bracket, OCO and OTO: what happens to one order of a group when something happens to another."""

from typing import TYPE_CHECKING

from .accounts import Account
from .orders import Order
from .times import format_instant

if TYPE_CHECKING:
    from .execution import Execution

ENTRY, TAKE_PROFIT, STOP_LOSS = "entry", "take_profit", "stop_loss"


def is_armed(account: Account, order: Order) -> bool:
    """Whether a held stop watches the market: its entry is filled, or its OCO's limit leg works."""
    parent = account.orders.get(order.parent_id or "")
    if parent is None or order.group_role != STOP_LOSS:
        return False
    return parent.is_working if parent.group_role == TAKE_PROFIT else parent.status == "filled"


def siblings(account: Account, order: Order) -> list[Order]:
    """The other exits of the group that are still alive."""
    parent = account.orders[order.parent_id] if order.parent_id else order
    members = [parent, *account.legs(parent)]
    return [o for o in members if o is not order and o.group_role != ENTRY and not o.is_terminal]


def on_fill(execution: "Execution", account: Account, order: Order) -> None:
    if order.group_role == ENTRY:
        if order.status == "filled":
            _activate(execution, account, order)
    elif order.group_role is not None:
        for sibling in siblings(account, order):
            if order.status == "filled":
                execution.end(account, sibling, "canceled")
            elif order.qty is not None:
                # What one exit has sold, the other must not sell again.
                sibling.qty = order.qty - order.filled_qty + sibling.filled_qty
                account.mark(sibling)


def on_triggered(execution: "Execution", account: Account, order: Order) -> None:
    """A triggered stop takes the shares that its take-profit had a claim on."""
    for sibling in siblings(account, order):
        execution.end(account, sibling, "canceled")


def on_end(execution: "Execution", account: Account, order: Order) -> None:
    """An order that ends unfilled takes with it what depends on it."""
    if order.group_role == ENTRY:
        for leg in account.legs(order):
            execution.end(account, leg, "canceled")
    elif order.group_role is not None and not _sibling_took_over(account, order):
        for sibling in siblings(account, order):
            execution.end(account, sibling, "canceled")


def _sibling_took_over(account: Account, order: Order) -> bool:
    return any(sibling.triggered for sibling in siblings(account, order))


def _activate(execution: "Execution", account: Account, entry: Order) -> None:
    """The entry is filled: its take-profit starts working, its stop stays held until the price reaches it.

    A stop that is the only leg (OTO) starts working at once, because nothing else holds its shares.
    """
    now = execution.venue.clock.now()
    legs = account.legs(entry)
    for leg in legs:
        if leg.status == "held" and (leg.group_role == TAKE_PROFIT or len(legs) == 1):
            account.set_status(leg, "new", now, submitted_at=now)
            execution.venue.emit(account, "new", leg, timestamp=format_instant(now))
            execution.resume(account, leg)
