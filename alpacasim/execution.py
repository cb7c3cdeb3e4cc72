"""What happens to an order after it was taken: routing, triggers, executions, ends."""

import uuid
from dataclasses import replace
from decimal import Decimal

from . import activities, groups, sessions
from .accounts import Account
from .matching import trade_price, trail, triggers
from .numbers import ZERO, plain
from .orders import Order
from .times import format_instant
from .venue import Venue

# The last minute before the close, in which on-close orders trade.
_CLOSING = 60 * 1_000_000_000


class Execution:
    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    # Routing

    def resume(self, account: Account, order: Order) -> None:
        """Schedules the next step of an order's life; the same after a submit and after a restart."""
        delay = self.venue.half_delay
        if order.status == "pending_new":
            self.venue.scheduler.after(delay, lambda: self._route(account, order))
        elif order.status == "pending_cancel":
            self.venue.scheduler.after(delay, lambda: self._finish_cancel(account, order))
        elif order.is_working:
            self.venue.scheduler.after(delay, lambda: self.evaluate(account, order))

    def _route(self, account: Account, order: Order) -> None:
        if order.status != "pending_new" or not self._is_current(account, order):
            return
        self._to_market(account, order)

    def _to_market(self, account: Account, order: Order, *, resubmitted: bool = False) -> None:
        now = self.venue.clock.now()
        account.set_status(order, "new", now, submitted_at=now if resubmitted else None)
        self.venue.emit(account, "new", order, timestamp=format_instant(now))
        self.venue.scheduler.after(self.venue.half_delay, lambda: self.evaluate(account, order))

    def _is_current(self, account: Account, order: Order) -> bool:
        # After an account reset the old account's steps are still scheduled.
        return self.venue.accounts.get(account.key_id) is account and order.id in account.orders

    # The market

    def evaluate_all(self) -> None:
        for account in list(self.venue.accounts.values()):
            for order in list(account.live.values()):
                self.evaluate(account, order)

    def evaluate(self, account: Account, order: Order) -> None:
        """Lets time and the current price act on one order."""
        if not self._is_current(account, order) or order.is_terminal:
            return
        if self.venue.clock.now() >= order.expires_at:
            self.expire(account, order)
        elif order.status == "accepted" and self.venue.is_open_for(order):
            self._to_market(account, order, resubmitted=True)
        elif order.is_working or (order.status == "held" and groups.is_armed(account, order)):
            self._meet_market(account, order)

    def _meet_market(self, account: Account, order: Order) -> None:
        if self.venue.settings.hold_fills or not self.venue.is_open_for(order):
            return
        if order.time_in_force == "cls" and not self._is_closing(order):
            return
        price = self.venue.price(order.symbol)
        if trail(order, price):
            account.mark(order)
        if not triggers(order, price):
            return
        if not order.triggered:
            self._trigger(account, order)
        at = trade_price(order, price)
        if at is None:
            if order.time_in_force in {"ioc", "fok"}:
                self.end(account, order, "canceled")
            return
        self._trade(account, order, at)

    def _is_closing(self, order: Order) -> bool:
        now = self.venue.clock.now()
        return self.venue.clock.mode == "open" or sessions.next_close(now) - now <= _CLOSING

    def _trigger(self, account: Account, order: Order) -> None:
        order.triggered = True
        if order.status == "held":
            now = self.venue.clock.now()
            account.set_status(order, "new", now, submitted_at=now)
            self.venue.emit(account, "new", order, timestamp=format_instant(now))
            groups.on_triggered(self, account, order)
        else:
            account.mark(order)

    def _trade(self, account: Account, order: Order, price: Decimal) -> None:
        qty = order.leaves_qty(price)
        splits = self.venue.settings.partial_fills and order.filled_qty == 0 and qty >= 2
        if splits and order.time_in_force != "fok":
            self.fill(account, order, qty // 2, price)
            self.venue.scheduler.after(self.venue.half_delay, lambda: self.evaluate(account, order))
        else:
            self.fill(account, order, qty, price)

    # Executions

    def fill(self, account: Account, order: Order, qty: Decimal, price: Decimal) -> None:
        """Books one execution: order, activity, position, cash, news."""
        leaves = order.leaves_qty(price) - qty
        now = self.venue.clock.now()
        order.book_fill(qty, price, now)
        account.set_status(order, "filled" if leaves <= 0 else "partially_filled", now)
        body = activities.fill_body(
            order_id=order.id, symbol=order.symbol, side=self._activity_side(account, order), qty=qty, price=price,
            cum_qty=order.filled_qty, leaves_qty=max(leaves, ZERO), at=now,
        )  # fmt: skip
        account.add_activity(now, body)
        self.move_position(account, order.symbol, order.sign * qty, price)
        self.venue.emit(
            account, "fill" if leaves <= 0 else "partial_fill", order,
            execution_id=str(uuid.uuid4()), price=plain(price), qty=plain(qty), timestamp=format_instant(now),
            position_qty=plain(self.venue.position(account, order.symbol).qty),
        )  # fmt: skip
        groups.on_fill(self, account, order)

    def _activity_side(self, account: Account, order: Order) -> str:
        short = order.side == "sell" and self.venue.position(account, order.symbol).qty <= 0
        return "sell_short" if short else order.side

    def move_position(self, account: Account, symbol: str, signed_qty: Decimal, price: Decimal) -> None:
        after = replace(self.venue.position(account, symbol))
        after.apply(signed_qty, price)
        account.change_position(symbol, after, self.venue.scheduler.now())
        account.add_cash(-signed_qty * price)

    # Ends

    def cancel(self, account: Account, order: Order) -> None:
        """Takes a request to cancel; the end itself comes a little later."""
        now = self.venue.clock.now()
        account.set_status(order, "pending_cancel", now)
        self.venue.emit(account, "pending_cancel", order, timestamp=format_instant(now))
        self.resume(account, order)

    def _finish_cancel(self, account: Account, order: Order) -> None:
        if order.status == "pending_cancel" and self._is_current(account, order):
            self.end(account, order, "canceled")

    def expire(self, account: Account, order: Order) -> None:
        self.end(account, order, "expired")

    def end(self, account: Account, order: Order, status: str) -> None:
        """Ends an order unfilled: `canceled`, `expired` or `rejected`, whatever was filled before."""
        if order.is_terminal:
            return
        now = self.venue.clock.now()
        field = {"canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at"}[status]
        setattr(order, field, now)
        account.set_status(order, status, now)
        self.venue.emit(account, status, order, timestamp=format_instant(now))
        groups.on_end(self, account, order)
