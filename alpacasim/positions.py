"""Positions: what the fills add up to, and their JSON."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .assets import Asset
from .numbers import ZERO, divide, plain


@dataclass(slots=True)
class Position:
    """`qty` is negative for a short; `avg_entry_price` changes only when the position grows or turns."""

    symbol: str
    qty: Decimal = ZERO
    avg_entry_price: Decimal = ZERO
    # What was already held when the current day began: its profit of the day counts from the last close.
    overnight_qty: Decimal = ZERO

    @property
    def cost_basis(self) -> Decimal:
        return self.qty * self.avg_entry_price

    def apply(self, signed_qty: Decimal, price: Decimal) -> None:
        after = self.qty + signed_qty
        grows = self.qty * signed_qty >= 0
        if grows and after != 0:
            self.avg_entry_price = divide(self.cost_basis + signed_qty * price, after)
        elif self.qty * after < 0:
            self.avg_entry_price = price
        self.qty = after

    def to_state(self) -> dict[str, str]:
        return {
            "symbol": self.symbol,
            "qty": plain(self.qty),
            "avg_entry_price": plain(self.avg_entry_price),
            "overnight_qty": plain(self.overnight_qty),
        }

    @classmethod
    def from_state(cls, document: dict[str, Any]) -> "Position":
        qty = Decimal(str(document["qty"]))
        overnight = Decimal(str(document.get("overnight_qty", qty)))
        return cls(document["symbol"], qty, Decimal(str(document["avg_entry_price"])), overnight)


@dataclass(frozen=True, slots=True)
class Quote:
    price: Decimal
    last_close: Decimal


def to_json(position: Position, asset: Asset, quote: Quote, held_for_orders: Decimal) -> dict[str, Any]:
    qty, basis = position.qty, position.cost_basis
    value = qty * quote.price
    gain = value - basis
    intraday = _intraday_gain(position, quote)
    start_of_day = abs(value - intraday)
    side = 1 if qty > 0 else -1
    return {
        "asset_class": asset.asset_class,
        "asset_id": asset.id,
        "asset_marginable": asset.marginable,
        "avg_entry_price": plain(position.avg_entry_price),
        "change_today": plain(_share(quote.price - quote.last_close, quote.last_close)),
        "cost_basis": plain(basis),
        "current_price": plain(quote.price),
        "exchange": asset.exchange,
        "lastday_price": plain(quote.last_close),
        "market_value": plain(value),
        "qty": plain(qty),
        "qty_available": plain(qty - side * held_for_orders),
        "side": "long" if qty > 0 else "short",
        "symbol": asset.symbol.replace("/", ""),
        "unrealized_intraday_pl": plain(intraday),
        "unrealized_intraday_plpc": plain(_share(intraday, start_of_day)),
        "unrealized_pl": plain(gain),
        "unrealized_plpc": plain(_share(gain, abs(basis))),
    }


def _intraday_gain(position: Position, quote: Quote) -> Decimal:
    kept = ZERO
    if position.qty * position.overnight_qty > 0:
        kept = min(abs(position.qty), abs(position.overnight_qty)).copy_sign(position.qty)
    bought = position.qty - kept
    return kept * (quote.price - quote.last_close) + bought * (quote.price - position.avg_entry_price)


def _share(part: Decimal, whole: Decimal) -> Decimal:
    return divide(part, whole) if whole else ZERO
