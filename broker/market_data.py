"""What stocks cost now and did cost, from Alpaca's market-data host.

It has a request limit of its own: nothing here takes from the trading budget, and a 429 here does not stop trading.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from broker import mapping, times
from broker.answers import Answer
from broker.errors import BrokerUnavailable, NotFound
from broker.reading import read_patiently
from broker.types import BrokerBar

if TYPE_CHECKING:
    from broker.alpaca_client import AlpacaClient

SYMBOLS_A_REQUEST = 100
_LATEST_TRADES = "/stocks/trades/latest"
_BARS = "/stocks/bars"
BARS_A_PAGE = 10_000
#: A walk that has not ended by then goes round in circles.
_MOST_PAGES = 200
#: The one feed that every subscription may ask for up to now; the consolidated one refuses the last 15 minutes.
_FEED = "iex"


class MarketData:
    """One connection, made when it is first needed. Not for several threads at a time."""

    def __init__(self, connect: "Callable[[], AlpacaClient]") -> None:
        self._connect = connect
        self._client: AlpacaClient | None = None

    @property
    def calls(self) -> int:
        return 0 if self._client is None else int(self._client.calls)

    def latest_prices(self, symbols: Collection[str], sleep: Callable[[float], None]) -> dict[str, Decimal]:
        wanted = sorted(set(symbols))
        prices: dict[str, Decimal] = {}
        for first in range(0, len(wanted), SYMBOLS_A_REQUEST):
            prices |= self._some_prices(wanted[first : first + SYMBOLS_A_REQUEST], sleep)
        return prices

    def _some_prices(self, symbols: list[str], sleep: Callable[[float], None]) -> dict[str, Decimal]:
        document = self._read(_LATEST_TRADES, {"symbols": ",".join(symbols)}, sleep)
        return mapping.to_latest_prices(document, symbols)

    def bars(
        self, symbols: Collection[str], timeframe: str, start: datetime, end: datetime, sleep: Callable[[float], None]
    ) -> dict[str, list[BrokerBar]]:
        wanted = sorted(set(symbols))
        found: dict[str, list[BrokerBar]] = {}
        for first in range(0, len(wanted), SYMBOLS_A_REQUEST):
            for page in self._bar_pages(wanted[first : first + SYMBOLS_A_REQUEST], timeframe, start, end, sleep):
                for symbol, bars in page.items():
                    found.setdefault(symbol, []).extend(bars)
        return found

    def _bar_pages(
        self, symbols: list[str], timeframe: str, start: datetime, end: datetime, sleep: Callable[[float], None]
    ) -> Iterator[dict[str, list[BrokerBar]]]:
        parameters = {
            "symbols": ",".join(symbols),
            "timeframe": timeframe,
            "start": times.rfc3339(start),
            "end": times.rfc3339(end),
            "limit": str(BARS_A_PAGE),
            "adjustment": "raw",  # fills are shown on them, at the prices of their day
            "feed": _FEED,
        }
        for _page in range(_MOST_PAGES):
            page, token = mapping.to_bars(self._read(_BARS, parameters, sleep), symbols)
            yield page
            if not token:
                return
            parameters = {**parameters, "page_token": token}
        raise BrokerUnavailable(f"Alpaca's bars did not end within {_MOST_PAGES} pages.")

    def _read(self, path: str, parameters: dict[str, str], sleep: Callable[[float], None]) -> Any:
        try:
            return read_patiently(f"GET /v2{path}", lambda: self._ask(path, parameters), sleep)
        except NotFound as error:  # unknown symbols are left out: it is the address that is not known
            raise BrokerUnavailable(str(error)) from error

    def _ask(self, path: str, parameters: dict[str, str]) -> Answer:
        if self._client is None:
            self._client = self._connect()
        answer: Answer = self._client.get(path, parameters)
        return answer
