"""The venue: its clock, prices and accounts, and what happened that others must hear about."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from . import sessions
from .accounts import Account
from .assets import Asset, AssetRegistry
from .clock import Clock
from .numbers import ZERO
from .orders import Order
from .positions import Position, Quote
from .prices import PriceBook
from .scheduler import Scheduler
from .times import new_york_date

MARGIN = Decimal("0.5")


@dataclass(slots=True)
class Settings:
    """What a test may change while the venue runs."""

    fill_delay_ms: float = 3
    partial_fills: bool = False
    hold_fills: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One `trade_updates` message, taken at the moment it happened."""

    key_id: str
    data: dict[str, Any]


class Venue:
    def __init__(self, *, clock: Clock, now: Callable[[], float], seed: int = 0) -> None:
        self.clock = clock
        self.seed = seed
        self.assets = AssetRegistry()
        self.prices = PriceBook(self.assets, seed)
        self.scheduler = Scheduler(now)
        self.settings = Settings()
        self.accounts: dict[str, Account] = {}
        self.outbox: list[Event] = []
        # Accounts whose saved rows must go before their new ones are written.
        self.erased: set[str] = set()

    @property
    def half_delay(self) -> float:
        """Seconds from one step of an order's life to the next: submit to `new`, `new` to fill."""
        return self.settings.fill_delay_ms / 2000

    def account(self, key_id: str) -> Account:
        """Any key is an account of its own, made when it is first used."""
        account = self.accounts.get(key_id)
        if account is None:
            account = self.accounts[key_id] = Account(key_id, self.clock.now())
            account.mark_self()
        self._begin_day(account)
        return account

    def reset_account(self, key_id: str) -> Account:
        """As when a paper account is deleted and made anew: another id, no history."""
        generation = self.account(key_id).generation + 1
        account = self.accounts[key_id] = Account(key_id, self.clock.now(), generation)
        self.erased.add(key_id)
        account.mark_self()
        return self.account(key_id)

    def _begin_day(self, account: Account) -> None:
        day = new_york_date(self.clock.now()).isoformat()
        if account.day == day:
            return
        if account.day:
            account.last_equity = account.cash + sum(
                (p.qty * self.quote(p.symbol).last_close for p in account.positions.values()), ZERO
            )
            for position in account.positions.values():
                position.overnight_qty = position.qty
                account.dirty["position", position.symbol] = position
        account.day = day
        account.mark_self()

    # Prices

    def price(self, symbol: str) -> Decimal:
        return self.prices.price(symbol, self.clock.now())

    def quote(self, symbol: str) -> Quote:
        now = self.clock.now()
        return Quote(self.prices.price(symbol, now), self.prices.path(symbol, sessions.previous_close(now)))

    def asset_of(self, symbol: str) -> Asset:
        asset = self.assets.find(symbol)
        if asset is None:
            # A position can outlive the listing of its symbol: a scenario may name any.
            asset = Asset(symbol, symbol)
            self.assets.add(asset)
        return asset

    def symbol_now(self, symbol: str) -> str:
        """What the asset is called today: an order keeps the name that it was placed under, the shares do not."""
        asset = self.asset_of(symbol)
        today = self.assets.find(asset.id)
        return today.symbol if today else symbol

    def is_open_for(self, order: Order) -> bool:
        now = self.clock.now()
        if order.asset_class == "crypto" or self.clock.is_open(now):
            return True
        return order.extended_hours and self.clock.is_extended(now)

    # Money

    def market_values(self, account: Account) -> tuple[Decimal, Decimal]:
        """Long and short market value; the short one is negative."""
        values = [p.qty * self.price(p.symbol) for p in account.positions.values()]
        return sum((v for v in values if v > 0), ZERO), sum((v for v in values if v < 0), ZERO)

    def equity(self, account: Account) -> Decimal:
        return account.cash + sum(self.market_values(account), ZERO)

    def buying_power(self, account: Account) -> Decimal:
        long_value, short_value = self.market_values(account)
        equity = account.cash + long_value + short_value
        multiplier = Decimal(account.configurations["max_margin_multiplier"])
        multiplier = min(multiplier, Decimal(2))
        free = max(equity - (long_value - short_value) / multiplier, ZERO) * multiplier
        return free - self._reserved(account)

    def _reserved(self, account: Account) -> Decimal:
        return sum((self.cost_of(o) for o in account.live.values() if o.is_open and _opens(o)), ZERO)

    def cost_of(self, order: Order) -> Decimal:
        price = order.limit_price or order.stop_price or self.price(order.symbol)
        if order.notional is not None:
            return order.notional - order.filled_qty * (order.filled_avg_price or ZERO)
        return order.leaves_qty(price) * price

    # News

    def emit(self, account: Account, event: str, order: Order, **extra: Any) -> None:
        data = {"event": event, "order": order.to_json(), **extra}
        self.outbox.append(Event(account.key_id, data))

    def position(self, account: Account, symbol: str) -> Position:
        return account.positions.get(symbol) or Position(symbol)


def _opens(order: Order) -> bool:
    return order.position_intent.endswith("_open")
