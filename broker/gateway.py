"""The door to Alpaca as the rest of the program sees it."""

from collections.abc import Collection, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from broker.models import Account
from broker.paging import IsEnd, never_ends
from broker.types import (
    ActivitiesPage,
    BrokerAccount,
    BrokerAsset,
    BrokerBar,
    BrokerClock,
    BrokerEquity,
    BrokerFill,
    BrokerOrder,
    BrokerPosition,
    OrderRequest,
    OrdersPage,
    Replacement,
    TradingDay,
)


class Gateway(Protocol):
    """One account at the broker, for one thread.

    Every method may raise `BrokerUnauthorized`. Reads are repeated a few times within seconds and then raise
    `BrokerUnavailable`: nothing was learned. Writes are made once.
    """

    @property
    def calls(self) -> int:
        """HTTP requests made so far, repeated ones included."""

    def get_account(self) -> BrokerAccount: ...

    def get_clock(self) -> BrokerClock: ...

    def get_calendar(self, start: date, end: date) -> list[TradingDay]: ...

    def get_asset(self, symbol: str) -> BrokerAsset:
        """Raise `NotFound` for a symbol that Alpaca does not know."""

    def list_assets(self) -> list[BrokerAsset]:
        """Return every active asset: more than ten thousand."""

    def latest_prices(self, symbols: Collection[str]) -> dict[str, Decimal]:
        """Return the price of each stock's latest trade, however old that is; a symbol without one is left out.

        It is read from the market-data host, outside of the trading budget: `BrokerUnavailable` or
        `BrokerUnauthorized` from there says nothing of trading.
        """

    def bars(
        self, symbols: Collection[str], timeframe: str, start: datetime, end: datetime
    ) -> dict[str, list[BrokerBar]]:
        """Return the candles that began from `start` to `end`, oldest first, unadjusted; of unknown symbols none.

        `timeframe` is Alpaca's word: 1Hour, 1Day. Read from the market-data host, as the latest prices are.
        """

    def equity_history(self, start: date) -> list[BrokerEquity]:
        """Return equity at the end of each trading day from `start`, oldest first."""

    def await_room(self) -> None:
        """Return when the next submit may leave at once; raise `RateLimited` when that lies too far ahead."""

    def submit_order(self, request: OrderRequest) -> BrokerOrder:
        """Send it, once.

        `OrderRejected`: certainly not placed. `DuplicateClientOrderId`: there already, look it up.
        `RateLimited`, `NotSent`, `BrokerUnauthorized`: certainly not placed, may be sent later.
        `OutcomeUnknown`: look it up.
        """

    def get_order(self, broker_order_id: str) -> BrokerOrder:
        """Raise `NotFound` when Alpaca says that it knows no such order."""

    def get_order_by_client_id(self, client_order_id: str) -> BrokerOrder:
        """Raise `NotFound` when Alpaca says that it knows no such order, which soon after sending is no proof."""

    def cancel_order(self, broker_order_id: str) -> None:
        """Ask for the cancel, once: `CancelRejected`, `NotFound`, `RateLimited`, `NotSent`, `OutcomeUnknown`."""

    def replace_order(self, broker_order_id: str, wanted: Replacement) -> BrokerOrder:
        """Ask for the replacement, once; the answer is the new order, which has an id of its own.

        Success does not prove that the old order is gone: it may fill first, and the new one is rejected then.
        `ReplaceRejected`, `NotFound`, `RateLimited`, `NotSent`: certainly not replaced by this request.
        `DuplicateClientOrderId`, `OutcomeUnknown`: look the new one up by its client_order_id.
        """

    def open_orders(self, *, is_proven: bool = True) -> Iterator[OrdersPage]:
        """Walk the orders that are open now.

        Without `is_proven` a page that is not full ends it, as Alpaca promises, and nobody asks once more. That is
        for those who conclude nothing from absence, and ask for the missing order by its id.
        """

    def orders_since(
        self, after: datetime | None, cursor: str = "", *, reads_ahead: bool = False
    ) -> Iterator[OrdersPage]:
        """Walk the orders submitted after `after`, oldest first; a page's cursor takes the walk up again.

        An order may come twice when it moved meanwhile; the later one is the newer news. With `reads_ahead` the next
        page is on its way while the caller works on one: for those who take long over it, and want all of them.
        """

    def activities_since(
        self, after: datetime | None, cursor: str = "", is_end: IsEnd = never_ends, *, reads_ahead: bool = False
    ) -> Iterator[ActivitiesPage]:
        """Walk what happened after `after`, oldest first; a page's cursor takes the walk up again.

        `is_end` is told the rows of a page that is not full; where it answers yes, nobody is asked for more.
        """

    def fills_of(self, broker_order_id: str) -> list[BrokerFill]: ...

    def list_positions(self) -> list[BrokerPosition]: ...

    def get_position(self, symbol: str) -> BrokerPosition:
        """Raise `NotFound` when Alpaca says that it holds no such position."""


def open_gateway(account: Account) -> Gateway:
    """Return a gateway of the caller's own: one for each thread. Nothing is asked of Alpaca yet.

    Raise `BrokerNotConfigured` when the account may not be reached.
    """
    from broker.alpaca_gateway import open_alpaca_gateway

    return open_alpaca_gateway(account)
