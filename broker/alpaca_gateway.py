"""The gateway to Alpaca. A write is made once, a read a few times, and an error says what is known."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.utils import timezone

from broker import accounts, history_pages, mapping, times
from broker.ahead import Ahead, Parameters, Read
from broker.alpaca_client import AlpacaClient
from broker.answers import Answer, cancel_error, rate_news, replace_error, retry_after, submit_error
from broker.budget import Budget, budget_of
from broker.errors import (
    BrokerNotConfigured,
    BrokerUnavailable,
    NotFound,
    OutcomeUnknown,
    UnreadableAnswer,
)
from broker.market_data import MarketData
from broker.models import Account
from broker.paging import (
    ACTIVITIES_LIMIT,
    ORDERS_LIMIT,
    ActivitiesWalk,
    Ask,
    Begin,
    IsEnd,
    OrdersWalk,
    Place,
    contradiction,
    never_ends,
)
from broker.reading import read_patiently
from broker.taken_back import without_taken_back
from broker.types import (
    ActivitiesPage,
    BrokerAccount,
    BrokerActivity,
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


def open_alpaca_gateway(account: Account) -> "AlpacaGateway":
    if not account.is_active:
        raise BrokerNotConfigured(f"The account {account.slug} is switched off: it is neither read nor traded.")
    key, secret = accounts.credentials(account)

    def connect(url: str) -> AlpacaClient:
        return AlpacaClient(
            key=key,
            secret=secret,
            url=url,
            connect_timeout=settings.BROKER_CONNECT_TIMEOUT,
            read_timeout=settings.BROKER_READ_TIMEOUT,
        )

    return AlpacaGateway(
        connect=lambda: connect(accounts.base_url(account)),
        budget=budget_of(account),
        market_data=MarketData(lambda: connect(accounts.data_url(account))),
    )


class AlpacaGateway:
    """See `broker.gateway.Gateway` for what each method promises."""

    def __init__(
        self,
        *,
        connect: Callable[[], AlpacaClient],
        budget: Budget,
        market_data: MarketData,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._connect = connect
        self._client = connect()
        self._budget = budget
        self._market_data = market_data
        self._clients = [self._client]
        self._sleep = sleep
        self._now = now
        self._has_room = False

    @property
    def calls(self) -> int:
        return sum(int(client.calls) for client in self._clients) + self._market_data.calls

    # What there is

    def get_account(self) -> BrokerAccount:
        return mapping.to_account(self._read("/account"))

    def get_clock(self) -> BrokerClock:
        return mapping.to_clock(self._read("/clock"))

    def get_calendar(self, start: date, end: date) -> list[TradingDay]:
        rows = self._read_list("/calendar", {"start": start.isoformat(), "end": end.isoformat()})
        return [mapping.to_trading_day(row) for row in rows]

    def get_asset(self, symbol: str) -> BrokerAsset:
        return mapping.to_asset(self._read(f"/assets/{quote(symbol, safe='')}"))

    def list_assets(self) -> list[BrokerAsset]:
        return [mapping.to_asset(row) for row in self._read_list("/assets", {"status": "active"})]

    def latest_prices(self, symbols: Collection[str]) -> dict[str, Decimal]:
        return self._market_data.latest_prices(symbols, self._sleep)

    def bars(
        self, symbols: Collection[str], timeframe: str, start: datetime, end: datetime
    ) -> dict[str, list[BrokerBar]]:
        return self._market_data.bars(symbols, timeframe, start, end, self._sleep)

    def equity_history(self, start: date) -> list[BrokerEquity]:
        days = max((self._now().astimezone(times.NEW_YORK).date() - start).days, 1)
        parameters = {"period": f"{days}D", "timeframe": "1D"}
        history = mapping.to_equity_history(self._read("/account/portfolio/history", parameters))
        return sorted((point for point in history if point.day >= start), key=lambda point: point.day)

    def get_order(self, broker_order_id: str) -> BrokerOrder:
        order = mapping.to_order(self._read(f"/orders/{quote(broker_order_id, safe='')}", is_urgent=True))
        if order.broker_order_id != broker_order_id:
            raise UnreadableAnswer(f"Alpaca answered with another order than {broker_order_id}.")
        return order

    def get_order_by_client_id(self, client_order_id: str) -> BrokerOrder:
        parameters = {"client_order_id": client_order_id}
        order = mapping.to_order(self._read("/orders:by_client_order_id", parameters, is_urgent=True))
        if order.client_order_id != client_order_id:
            raise UnreadableAnswer(f"Alpaca answered with another order than {client_order_id}.")
        return order

    def list_positions(self) -> list[BrokerPosition]:
        positions = [mapping.to_position(row) for row in self._read_list("/positions")]
        if len({position.asset_id or position.symbol for position in positions}) < len(positions):
            raise contradiction("a position comes twice in one list")
        return positions

    def get_position(self, symbol: str) -> BrokerPosition:
        # A pair goes by its name without the slash, which no address takes.
        position = mapping.to_position(self._read(f"/positions/{quote(symbol.replace('/', ''), safe='')}"))
        if position.symbol != symbol:
            raise UnreadableAnswer(f"Alpaca answered with another position than {symbol}.")
        return position

    def open_orders(self, *, is_proven: bool = True) -> Iterator[OrdersPage]:
        walk = self._walk_orders("open")
        walk.short_page_ends = not is_proven
        return walk.pages()

    def orders_since(
        self, after: datetime | None, cursor: str = "", *, reads_ahead: bool = False
    ) -> Iterator[OrdersPage]:
        walk = self._walk_orders("all")
        if reads_ahead:
            walk.ask, walk.begin = self._asking_ahead("/orders", history_pages.orders_of)
        if after is not None:
            walk.parameters["after"] = times.rfc3339(after)
        if cursor:
            walk.place = Place.parse(cursor)
        return walk.pages()

    def _walk_orders(self, status: str) -> OrdersWalk:
        parameters = {"status": status, "direction": "asc", "limit": str(ORDERS_LIMIT), "nested": "false"}
        return OrdersWalk(ask=self._asking("/orders"), now=self._now, parameters=parameters)

    def activities_since(
        self, after: datetime | None, cursor: str = "", is_end: IsEnd = never_ends, *, reads_ahead: bool = False
    ) -> Iterator[ActivitiesPage]:
        walk = self._walk_activities("/account/activities", {}, cursor)
        if reads_ahead:
            walk.ask, walk.begin = self._asking_ahead("/account/activities", history_pages.activities_of)
        if after is not None:
            # Whole seconds are what the specification promises to read; earlier only brings more.
            walk.parameters["after"] = times.rfc3339(after.replace(microsecond=0))
        return walk.pages(is_end)

    def fills_of(self, broker_order_id: str) -> list[BrokerFill]:
        walk = self._walk_activities("/account/activities/FILL", {"order_id": broker_order_id})
        pages = list(walk.pages(is_end=_is_filled))
        fills = [fill for page in pages for fill in page.fills]
        if any(fill.broker_order_id != broker_order_id for fill in fills):
            raise contradiction(f"asked for the fills of {broker_order_id}, it sent those of other orders")
        taken_back = [other for page in pages for other in page.others]
        return list(without_taken_back({fill.activity_id: fill for fill in fills}, taken_back).values())

    def _walk_activities(self, path: str, parameters: dict[str, str], cursor: str = "") -> ActivitiesWalk:
        parameters = {"direction": "asc", "page_size": str(ACTIVITIES_LIMIT), **parameters}
        return ActivitiesWalk(ask=self._asking(path), now=self._now, parameters=parameters, token=cursor)

    # What is sent

    def await_room(self) -> None:
        if not self._has_room:
            self._budget.take(is_urgent=True)
            self._has_room = True

    def submit_order(self, request: OrderRequest) -> BrokerOrder:
        answer = self._write(lambda: self._client.post("/orders", mapping.order_body(request)))
        if not answer.is_success:
            raise submit_error(request.client_order_id, answer)
        try:
            order = mapping.to_order(mapping.parse_json(answer.body))
        except UnreadableAnswer as error:
            raise OutcomeUnknown(f"Alpaca took {request.client_order_id}, perhaps: {error}") from error
        if order.client_order_id != request.client_order_id:
            raise OutcomeUnknown(f"Alpaca answered the submit of {request.client_order_id} with another order.")
        return order

    def cancel_order(self, broker_order_id: str) -> None:
        path = f"/orders/{quote(broker_order_id, safe='')}"
        answer = self._write(lambda: self._client.delete(path))
        if not answer.is_success:
            raise cancel_error(broker_order_id, answer)

    def replace_order(self, broker_order_id: str, wanted: Replacement) -> BrokerOrder:
        path, body = f"/orders/{quote(broker_order_id, safe='')}", mapping.replacement_body(wanted)
        answer = self._write(lambda: self._client.patch(path, body))
        if not answer.is_success:
            raise replace_error(broker_order_id, wanted.client_order_id, answer)
        try:
            order = mapping.to_order(mapping.parse_json(answer.body))
        except UnreadableAnswer as error:
            raise OutcomeUnknown(f"Alpaca replaced {broker_order_id}, perhaps: {error}") from error
        if order.client_order_id != wanted.client_order_id:
            raise OutcomeUnknown(f"Alpaca answered the replacement of {broker_order_id} with another order.")
        return order

    def _write(self, send: Callable[[], Answer]) -> Answer:
        """Once, whatever happens."""
        self.await_room()
        self._has_room = False
        answer = send()
        self._note(answer)
        return answer

    # How it is read

    def _asking(self, path: str) -> Callable[[dict[str, str]], list[Any]]:
        return lambda parameters: self._read_list(path, parameters)

    def _asking_ahead(self, path: str, read: Read) -> tuple[Ask, Begin]:
        """As `_asking`, and beside it what begins the next question while the caller works on the last answer."""
        client = self._connect()
        self._clients.append(client)
        ahead = Ahead(client.get, path, self._budget.take_at_once, read)
        return lambda parameters: self._read_list(path, parameters, ahead), ahead.begin

    def _read_list(self, path: str, parameters: dict[str, str] | None = None, ahead: Ahead | None = None) -> list[Any]:
        try:
            rows = self._read(path, parameters, ahead=ahead)
        except NotFound as error:  # a list is there or the address is wrong
            raise BrokerUnavailable(str(error)) from error
        if not isinstance(rows, list):
            raise UnreadableAnswer(f"Alpaca's answer to GET /v2{path} is no list.")
        return rows

    def _read(
        self, path: str, parameters: Parameters | None = None, *, is_urgent: bool = False, ahead: Ahead | None = None
    ) -> Any:
        def ask() -> Answer:
            begun = ahead.take(parameters or {}) if ahead else None
            if begun is None:
                self._budget.take(is_urgent=is_urgent)
            answer: Answer = begun or self._client.get(path, parameters)
            self._note(answer)
            return answer

        if ahead is None:
            return read_patiently(f"GET /v2{path}", ask, self._sleep)
        return read_patiently(f"GET /v2{path}", ask, self._sleep, ahead.values)

    def _note(self, answer: Answer) -> None:
        if answer.status == 429:
            self._budget.note_refused(retry_after(answer.headers))
        elif news := rate_news(answer.headers):
            self._budget.note(news)


def _is_filled(rows: Sequence[BrokerFill | BrokerActivity]) -> bool:
    """True when the fills themselves prove that they are all of their order: it has nothing left to fill."""
    fills = [row for row in rows if isinstance(row, BrokerFill)]
    return bool(fills) and fills[-1].leaves_qty == 0 and sum(fill.qty for fill in fills) == fills[-1].cum_qty
