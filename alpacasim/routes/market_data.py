"""Latest trades and bars, which Alpaca serves from another host and counts against a limit of its own."""

import base64
from decimal import Decimal
from itertools import islice
from typing import Any

from starlette.routing import Route

from .. import bars as candles
from ..assets import Asset
from ..call import MARKET_DATA, Call, route
from ..errors import VenueError
from ..times import DAY, Nanos, format_instant, parse_instant

_NYSE_TAPE, _REGIONAL_TAPE, _NASDAQ_TAPE = "A", "B", "C"
_TAPES = {"NYSE": _NYSE_TAPE, "NASDAQ": _NASDAQ_TAPE}
_ROUND_LOT = 100
_DEFAULT_BARS, _MOST_BARS = 1000, 10_000


def latest_trades(call: Call) -> Any:
    now, prices = call.venue.clock.now(), call.venue.prices
    return {"trades": {a.symbol: _trade(a, prices.price(a.symbol, now), now) for a in _stocks(call)}}


def _stocks(call: Call) -> list[Asset]:
    """The stocks that ?symbols= names. Unlike the trading API, this one says nothing of one that it does not know."""
    symbols = list(filter(None, call.query.get("symbols", "").split(",")))
    if not symbols:
        raise _bad("symbols is required")
    listed = [asset for symbol in symbols if (asset := call.venue.assets.find(symbol)) and asset.symbol == symbol]
    return [asset for asset in listed if not asset.is_crypto]


def _trade(asset: Asset, price: Decimal, at: Nanos) -> dict[str, Any]:
    return {
        "t": format_instant(at),
        "x": "V",
        # JSON numbers, not the strings of the trading API.
        "p": _number(price),
        "s": _ROUND_LOT,
        "c": ["@"],
        "i": 1,
        "z": _TAPES.get(asset.exchange, _REGIONAL_TAPE),
    }


def bars(call: Call) -> Any:
    """Bars of several stocks, by symbol and then by time; a page is `limit` bars of all of them together."""
    try:
        seconds = candles.parse_timeframe(call.query.get("timeframe", ""))
    except ValueError:
        raise _bad("invalid timeframe") from None
    now = call.venue.clock.now()
    start = _instant(call, "start", now - now % DAY)
    end = min(_instant(call, "end", now), now)
    limit = min(max(call.whole("limit", _DEFAULT_BARS), 1), _MOST_BARS)
    after = _position(call.query.get("page_token", ""))
    wanted = (
        (asset.symbol, at)
        for asset in sorted(_stocks(call), key=lambda asset: asset.symbol)
        for at in candles.starts(call.venue, seconds, start, end)
        if (asset.symbol, at) > after
    )
    page = list(islice(wanted, limit + 1))
    found: dict[str, list[dict[str, Any]]] = {}
    for symbol, at in page[:limit]:
        found.setdefault(symbol, []).append(_bar(candles.bar(call.venue, symbol, at, seconds, now)))
    return {"bars": found, "next_page_token": _token(page[limit - 1]) if len(page) > limit else None}


def _bar(bar: candles.Bar) -> dict[str, Any]:
    middle = (bar.high + bar.low + bar.close) / 3
    return {
        "t": format_instant(bar.start),
        "o": _number(bar.open),
        "h": _number(bar.high),
        "l": _number(bar.low),
        "c": _number(bar.close),
        "v": bar.volume,
        "n": bar.volume // _ROUND_LOT,
        "vw": float(round(middle, 4)),
    }


def _number(value: Decimal) -> int | float:
    """A JSON number, not the strings of the trading API."""
    return int(value) if value == int(value) else float(value)


def _instant(call: Call, name: str, default: Nanos) -> Nanos:
    text = call.query.get(name, "")
    try:
        return parse_instant(text) if text else default
    except ValueError:
        raise _bad(f"invalid {name}") from None


def _token(place: tuple[str, Nanos]) -> str:
    return base64.urlsafe_b64encode(f"{place[0]}|{place[1]}".encode()).decode()


def _position(token: str) -> tuple[str, Nanos]:
    if not token:
        return "", 0
    try:
        symbol, _, at = base64.urlsafe_b64decode(token).decode().partition("|")
        return symbol, int(at)
    except ValueError:
        raise _bad("invalid page_token") from None


def _bad(message: str) -> VenueError:
    return VenueError(400, 40010000, message)


ROUTES: list[Route] = [
    route("/v2/stocks/trades/latest", limit=MARKET_DATA, get=latest_trades),
    route("/v2/stocks/bars", limit=MARKET_DATA, get=bars),
]
