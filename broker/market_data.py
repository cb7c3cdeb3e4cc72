"""What stocks cost now, from Alpaca's market-data host.

It has a request limit of its own: nothing here takes from the trading budget, and a 429 here does not stop trading.
"""

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import TYPE_CHECKING

from broker import mapping
from broker.answers import Answer
from broker.errors import BrokerUnavailable, NotFound
from broker.reading import read_patiently

if TYPE_CHECKING:
    from broker.alpaca_client import AlpacaClient

SYMBOLS_A_REQUEST = 100
_LATEST_TRADES = "/stocks/trades/latest"


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
        try:
            document = read_patiently(f"GET /v2{_LATEST_TRADES}", lambda: self._ask(symbols), sleep)
        except NotFound as error:  # unknown symbols are left out: it is the address that is not known
            raise BrokerUnavailable(str(error)) from error
        return mapping.to_latest_prices(document, symbols)

    def _ask(self, symbols: list[str]) -> Answer:
        if self._client is None:
            self._client = self._connect()
        answer: Answer = self._client.get(_LATEST_TRADES, {"symbols": ",".join(symbols)})
        return answer
