"""Walk lists that come in pages so that no row is lost, and notice when the pages contradict each other.

Pure but for `ask`, which fetches the rows of one page, and `now`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broker import times
from broker.errors import BrokerUnavailable, UnreadableAnswer
from broker.history_pages import as_activity, as_order
from broker.types import ActivitiesPage, BrokerActivity, BrokerFill, BrokerOrder, OrdersPage

ORDERS_LIMIT = 500
ACTIVITIES_LIMIT = 100

#: The rows of one page, as JSON or read already.
Ask = Callable[[dict[str, str]], list[Any]]
#: Told what will most likely be asked next, before a page is given out; True when that is under way already.
Begin = Callable[[dict[str, str]], bool]
Now = Callable[[], datetime]
Row = BrokerFill | BrokerActivity
#: Told the rows of a page that is not full: do they themselves prove that they are the last?
IsEnd = Callable[[Sequence[Row]], bool]

_SECOND = 1_000_000_000
# After these an order's submitted_at moves no more, so it is a firm place to go on from.
_FIRM_STATUSES = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})


def never_ends(_rows: Sequence[Row]) -> bool:
    """No row proves by itself that it is the last."""
    return False


def begins_nothing(_parameters: dict[str, str]) -> bool:
    return False


def contradiction(text: str) -> UnreadableAnswer:
    return UnreadableAnswer(f"Alpaca's pages contradict each other: {text}.")


def _begin(begin: Begin, parameters: dict[str, str], now: Now) -> datetime | None:
    """Return since when the next page is under way: what comes to be after that, it need not have."""
    at = now()
    return at if begin(parameters) else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk over orders goes on: after an order, or from a submission time on.

    By time the last rows come again and are known; by order they do not. An order that is not over may be
    submitted anew meanwhile: going on after it would skip what lies between, so then it goes on by time.
    """

    submitted: int
    order_id: str = ""

    def __str__(self) -> str:
        return f"{self.submitted}:{self.order_id}"

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        submitted, _, order_id = cursor.partition(":")
        return cls(int(submitted), order_id)

    def parameters(self) -> dict[str, str]:
        if self.order_id:
            return {"after_order_id": self.order_id}
        # `after` is exclusive: one microsecond earlier brings rows of the same instant along.
        return {"after": times.rfc3339(times.from_nanoseconds(self.submitted - 1000))}


def submitted(order: BrokerOrder) -> int:
    """Exact to the nanosecond: from the text, not from the time that was cut to microseconds."""
    text = order.raw.get("submitted_at")
    if not isinstance(text, str) or not text:
        raise UnreadableAnswer(f"Alpaca's order {order.broker_order_id} cannot be read: submitted_at is missing.")
    return times.nanoseconds(text)


@dataclass
class OrdersWalk:
    """One walk over a list of orders, oldest submission first.

    The end is proven: after a page that is not full the broker is asked once more and must have nothing new.
    Rows that come then and are older than the question for that page were held back: it had been cut short.
    """

    ask: Ask
    now: Now
    parameters: dict[str, str]
    place: Place | None = None
    limit: int = ORDERS_LIMIT
    #: A page that is not full is taken for the end, as Alpaca promises. For lists from which nothing is concluded
    #: by absence: whoever misses an order there asks for it by its id.
    short_page_ends: bool = False
    begin: Begin = begins_nothing
    _begun_at: datetime | None = None
    _goes_by_id: bool = True
    _id_is_honoured: bool = False
    # The last rows that were read, by id with their submission time, and which of them may come again.
    _known: dict[str, int] = field(default_factory=dict)
    _submitted: dict[str, int] = field(default_factory=dict)  # of the page that was read last
    _expected: set[str] = field(default_factory=set)

    def pages(self) -> Iterator[OrdersPage]:
        held: tuple[BrokerOrder, ...] | None = None  # a page that waits for its proof
        held_since = self.now()
        while True:
            asked_at, self._begun_at = self._begun_at or self.now(), None
            orders = self._fetch()
            fresh = tuple(o for o in orders if self._known.get(o.broker_order_id) != self._submitted[o.broker_order_id])
            is_full = len(orders) >= self.limit
            if held is not None:
                if not fresh and not is_full:
                    yield OrdersPage(orders=held, cursor=self._cursor(), is_last=True)
                    return
                if any(times.from_nanoseconds(submitted(o)) < held_since for o in fresh):
                    raise contradiction("a page was cut short")
                yield OrdersPage(orders=held, cursor=self._cursor(), is_last=False)
            if is_full and not fresh:
                raise contradiction(f"{len(orders)} rows bring nothing new, so the walk does not advance")
            self._go_on_after(orders)
            if is_full:
                held = None
                self._begun_at = _begin(self.begin, self._question(), self.now)
                yield OrdersPage(orders=fresh, cursor=self._cursor(), is_last=False)
            elif self.short_page_ends:
                yield OrdersPage(orders=fresh, cursor=self._cursor(), is_last=True)
                return
            else:
                held, held_since = fresh, asked_at

    def _cursor(self) -> str:
        return str(self.place) if self.place else ""

    def _fetch(self) -> list[BrokerOrder]:
        if self.place is None or not self.place.order_id:
            return self._checked(self.ask(self._question()))
        try:
            orders = self._checked(self.ask(self._question()))
        except BrokerUnavailable as error:
            was_refused = error.status is not None and 400 <= error.status < 500
            if not was_refused and (self._id_is_honoured or not isinstance(error, UnreadableAnswer)):
                raise
            # The server does not page by id: from here on by time.
            self._goes_by_id = False
            self.place = Place(max(self._known.values(), default=self.place.submitted))
            self._expected = set(self._known)
            return self._fetch()
        self._id_is_honoured = self._id_is_honoured or bool(orders)
        return orders

    def _question(self) -> dict[str, str]:
        if self.place is None:
            return self.parameters
        place = self.place.parameters()
        # `after` and `after_order_id` exclude each other.
        return {name: value for name, value in self.parameters.items() if name != "after"} | place

    def _checked(self, rows: list[Any]) -> list[BrokerOrder]:
        orders = list(map(as_order, rows))
        if len({order.broker_order_id for order in orders}) < len(orders):
            raise contradiction("an order comes twice in one page")
        self._submitted = {order.broker_order_id: submitted(order) for order in orders}
        earliest = self._earliest()
        for order in orders:
            at = self._submitted[order.broker_order_id]
            if at < earliest:
                raise contradiction("rows are out of order")
            earliest = at
            is_same = self._known.get(order.broker_order_id) == at
            if is_same and order.broker_order_id not in self._expected:
                raise contradiction("a page comes again")
        return orders

    def _earliest(self) -> int:
        if self.place is None:
            return -(10**19)
        # A server may read `after` less exactly than it was given.
        return self.place.submitted if self.place.order_id else self.place.submitted - _SECOND

    def _go_on_after(self, orders: list[BrokerOrder]) -> None:
        if not orders:
            return
        firm = [i for i, order in enumerate(orders) if order.status in _FIRM_STATUSES] if self._goes_by_id else []
        last = orders[firm[-1] if firm else -1]
        self.place = Place(submitted(last), last.broker_order_id if firm else "")
        # Whatever may come again: this page, and of those before it the rows of nearly the same time.
        earliest = self.place.submitted - _SECOND
        self._known = {name: at for name, at in self._known.items() if at >= earliest}
        self._known |= self._submitted
        self._expected = {order.broker_order_id for order in orders[firm[-1] + 1 :]} if firm else set(self._known)


@dataclass
class ActivitiesWalk:
    """One walk over account activities, oldest first, each page after the last row of the one before."""

    ask: Ask
    now: Now
    parameters: dict[str, str]
    token: str = ""
    limit: int = ACTIVITIES_LIMIT
    begin: Begin = begins_nothing
    _begun_at: datetime | None = None
    _previous: set[str] = field(default_factory=set)
    _tokens: set[str] = field(default_factory=set)

    def pages(self, is_end: IsEnd = never_ends) -> Iterator[ActivitiesPage]:
        """`is_end` may know from the rows of a page that nothing can follow, and saves a request."""
        held: list[Row] | None = None
        held_since = self.now()
        while True:
            asked_at, self._begun_at = self._begun_at or self.now(), None
            rows = self._fetch()
            if held is not None:
                if not rows:
                    yield self._page(held, is_last=True)
                    return
                if any(_happened(row) < held_since for row in rows):
                    raise contradiction("a page was cut short")
                yield self._page(held, is_last=False)
            self._go_on_after(rows)
            if len(rows) >= self.limit:
                held = None
                self._begun_at = _begin(self.begin, self._question(), self.now)
                yield self._page(rows, is_last=False)
            elif is_end(rows):
                yield self._page(rows, is_last=True)
                return
            else:
                held, held_since = rows, asked_at

    def _fetch(self) -> list[Row]:
        rows = list(map(as_activity, self.ask(self._question())))
        ids = {row.activity_id for row in rows}
        if len(ids) < len(rows) or ids & self._previous:
            raise contradiction("an activity comes twice")
        return rows

    def _question(self) -> dict[str, str]:
        return self.parameters | ({"page_token": self.token} if self.token else {})

    def _go_on_after(self, rows: list[Row]) -> None:
        if not rows:
            return
        self.token = rows[-1].activity_id
        if self.token in self._tokens:
            raise contradiction("the same page comes again")
        self._tokens.add(self.token)
        self._previous = {row.activity_id for row in rows}

    def _page(self, rows: list[Row], *, is_last: bool) -> ActivitiesPage:
        return ActivitiesPage(
            fills=tuple(row for row in rows if isinstance(row, BrokerFill)),
            others=tuple(row for row in rows if isinstance(row, BrokerActivity)),
            cursor=self.token,
            is_last=is_last,
        )


def _happened(row: Row) -> datetime:
    if isinstance(row, BrokerFill):
        return row.transaction_time
    created_at = row.raw.get("created_at")
    try:
        return times.moment(created_at) if isinstance(created_at, str) else times.EPOCH
    except ValueError:
        return times.EPOCH
