"""Prices: a repeatable path for each symbol, which a pinned price overrides."""

import hashlib
import math
from decimal import Decimal

from .assets import AssetRegistry
from .times import SECOND, Nanos

# period in seconds and share of the level by which the path swings with it
_WAVES = ((86_400 * 9, 0.012), (86_400, 0.006), (3_600, 0.002), (300, 0.0006))


class PriceBook:
    """The price of a symbol is a function of (seed, symbol, time) alone, until it is pinned."""

    def __init__(self, assets: AssetRegistry, seed: int) -> None:
        self._assets = assets
        self._seed = seed
        self._phases: dict[str, tuple[float, ...]] = {}
        self.pinned: dict[str, Decimal] = {}

    def pin(self, symbol: str, price: Decimal) -> None:
        self.pinned[symbol] = price

    def unpin(self, symbol: str) -> None:
        self.pinned.pop(symbol, None)

    def price(self, symbol: str, at: Nanos) -> Decimal:
        pinned = self.pinned.get(symbol)
        return self.path(symbol, at) if pinned is None else pinned

    def path(self, symbol: str, at: Nanos) -> Decimal:
        asset = self._assets.find(symbol)
        level = asset.level if asset else Decimal(100)
        seconds = at / SECOND
        swing = sum(
            share * math.sin(2 * math.pi * (seconds / period + phase))
            for (period, share), phase in zip(_WAVES, self._phases_of(symbol), strict=True)
        )
        # Rounding the swing first keeps the last digit the same on every platform's math library.
        price = level * (1 + Decimal(str(round(swing, 7))))
        return price.quantize(Decimal("0.01") if price >= 1 else Decimal("0.0001"))

    def _phases_of(self, symbol: str) -> tuple[float, ...]:
        phases = self._phases.get(symbol)
        if phases is None:
            digest = hashlib.sha256(f"{self._seed}:{symbol}".encode()).digest()
            phases = tuple(digest[i] / 256 for i in range(len(_WAVES)))
            self._phases[symbol] = phases
        return phases
