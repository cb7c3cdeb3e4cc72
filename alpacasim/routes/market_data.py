"""/v2/stocks/trades/latest, which Alpaca serves from another host and counts against a limit of its own."""

from decimal import Decimal
from typing import Any

from starlette.routing import Route

from ..assets import Asset
from ..call import MARKET_DATA, Call, route
from ..errors import VenueError
from ..times import Nanos, format_instant

_NYSE_TAPE, _REGIONAL_TAPE, _NASDAQ_TAPE = "A", "B", "C"
_TAPES = {"NYSE": _NYSE_TAPE, "NASDAQ": _NASDAQ_TAPE}
_ROUND_LOT = 100


def latest_trades(call: Call) -> Any:
    symbols = list(filter(None, call.query.get("symbols", "").split(",")))
    if not symbols:
        raise VenueError(400, 40010000, "symbols is required")
    now = call.venue.clock.now()
    # Unlike the trading API, this one says nothing of a symbol that it does not know.
    listed = [asset for symbol in symbols if (asset := call.venue.assets.find(symbol)) and asset.symbol == symbol]
    prices = call.venue.prices
    return {"trades": {a.symbol: _trade(a, prices.price(a.symbol, now), now) for a in listed if not a.is_crypto}}


def _trade(asset: Asset, price: Decimal, at: Nanos) -> dict[str, Any]:
    return {
        "t": format_instant(at),
        "x": "V",
        # JSON numbers, not the strings of the trading API.
        "p": int(price) if price == int(price) else float(price),
        "s": _ROUND_LOT,
        "c": ["@"],
        "i": 1,
        "z": _TAPES.get(asset.exchange, _REGIONAL_TAPE),
    }


ROUTES: list[Route] = [route("/v2/stocks/trades/latest", limit=MARKET_DATA, get=latest_trades)]
