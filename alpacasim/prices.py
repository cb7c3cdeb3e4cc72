"""Prices: a repeatable path for each symbol, which a pinned price overrides."""

import hashlib
from decimal import Decimal

from .assets import AssetRegistry
from .times import SECOND, Nanos

# The path is the sum of rough lines: each leads in so many seconds from one random point to the next, none of which
# lies further from the level than this share of it. Together they never leave it by more than 2.06 percent.
_LINES = ((86_400 * 9, 0.012), (86_400, 0.006), (3_600, 0.002), (300, 0.0006))
#: Points are kept for the next look; beyond this many they are reckoned anew.
_MOST_POINTS = 100_000


class PriceBook:
    """The price of a symbol is a function of (seed, symbol, time) alone, until it is pinned."""

    def __init__(self, assets: AssetRegistry, seed: int) -> None:
        self._assets = assets
        self._seed = seed
        self._points: dict[tuple[str, int, int], float] = {}
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
        swing = sum(share * self._between(symbol, period, seconds) for period, share in _LINES)
        # Rounding the swing first keeps the last digit the same on every platform's math library.
        price = level * (1 + Decimal(str(round(swing, 7))))
        return price.quantize(Decimal("0.01") if price >= 1 else Decimal("0.0001"))

    def _between(self, symbol: str, period: int, seconds: float) -> float:
        """Where one line is, from -1 to 1: it leaves each of its points and comes to the next without a corner."""
        number, way = divmod(seconds / period, 1)
        start, end = self._point(symbol, period, int(number)), self._point(symbol, period, int(number) + 1)
        return start + (end - start) * way * way * (3 - 2 * way)

    def _point(self, symbol: str, period: int, number: int) -> float:
        key = symbol, period, number
        point = self._points.get(key)
        if point is None:
            if len(self._points) >= _MOST_POINTS:
                self._points.clear()
            digest = hashlib.blake2b(f"{self._seed}:{symbol}:{period}:{number}".encode(), digest_size=4).digest()
            point = self._points[key] = int.from_bytes(digest, "big") / 0x7FFFFFFF - 1
        return point
