"""A walk over pages of orders loses no row, and notices when the pages contradict each other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import times
from broker.errors import BrokerUnavailable, UnreadableAnswer
from broker.paging import OrdersWalk, Place
from broker.types import BrokerOrder
from tests.broker.samples import START, STEP, order_row, spelled

# Servers that page by id, that ignore it, and that refuse it.
KINDS: list[dict[str, Any]] = [{}, {"honours_ids": False}, {"refuses_ids": True}]


@dataclass
class Server:
    """Alpaca's list of orders with a page limit, and ways to misbehave."""

    orders: list[dict[str, Any]]
    limit: int = 3
    honours_ids: bool = True
    refuses_ids: bool = False
    now_ns: int = START + 10**9
    asked: list[dict[str, str]] = field(default_factory=list)
    before_answer: Callable[["Server"], None] = lambda server: None
    cut: Callable[[int, list[dict[str, Any]]], list[dict[str, Any]]] = lambda number, rows: rows

    def now(self) -> datetime:
        self.now_ns += 1000
        return times.from_nanoseconds(self.now_ns)

    def ask(self, parameters: dict[str, str]) -> list[Any]:
        self.asked.append(parameters)
        self.before_answer(self)
        rows = sorted(self.orders, key=lambda row: (times.nanoseconds(row["submitted_at"]), row["seq"]))
        if "after_order_id" in parameters:
            assert "after" not in parameters
            if self.refuses_ids:
                error = BrokerUnavailable("unknown parameter")
                error.status = 422
                raise error
            if self.honours_ids:
                ids = [row["id"] for row in rows]
                rows = rows[ids.index(parameters["after_order_id"]) + 1 :]
        if "after" in parameters:
            after = times.nanoseconds(parameters["after"])
            rows = [row for row in rows if times.nanoseconds(row["submitted_at"]) > after]
        return self.cut(len(self.asked), rows[: self.limit])

    def walk(self, place: str = "") -> OrdersWalk:
        found = Place.parse(place) if place else None
        return OrdersWalk(ask=self.ask, now=self.now, parameters={"status": "all"}, place=found, limit=self.limit)

    def read(self) -> list[BrokerOrder]:
        return [order for page in self.walk().pages() for order in page.orders]


def some(count: int, *, status: str = "filled", step: int = STEP) -> list[dict[str, Any]]:
    return [
        order_row(id=f"order-{n:03d}", seq=n, status=status, submitted_at=spelled(START + n * step))
        for n in range(count)
    ]


def ids(orders: list[BrokerOrder]) -> list[str]:
    return [order.broker_order_id for order in orders]


@pytest.mark.parametrize("count", range(9))
@pytest.mark.parametrize("status", ["filled", "new"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_order_is_read_once_whatever_the_server_supports(count: int, status: str, kind: dict[str, Any]) -> None:
    server = Server(some(count, status=status), **kind)
    assert ids(server.read()) == [f"order-{n:03d}" for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, 3, 6, 7])
def test_only_the_last_page_says_that_it_is_the_last(count: int) -> None:
    pages = list(Server(some(count)).walk().pages())
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]


def test_the_end_is_asked_for_once_more() -> None:
    server = Server(some(2))
    server.read()
    assert [p.get("after_order_id") for p in server.asked] == [None, "order-001"]


def test_a_walk_goes_on_where_it_was_left() -> None:
    pages = Server(some(8)).walk().pages()
    first, second = next(pages), next(pages)
    assert ids(list(first.orders)) == ["order-000", "order-001", "order-002"]
    rest = [o for page in Server(some(8)).walk(first.cursor).pages() for o in page.orders]
    assert ids(rest) == [f"order-{n:03d}" for n in range(3, 8)]
    assert len(second.cursor) <= 100


def test_rows_of_one_instant_are_not_lost_between_two_pages() -> None:
    """A parent and its legs share one submission time."""
    for kind in KINDS:
        orders = some(8)
        orders[3]["submitted_at"] = orders[2]["submitted_at"]
        assert ids(Server(orders, **kind).read()) == [f"order-{n:03d}" for n in range(8)]


def test_more_orders_of_one_instant_than_a_page_holds_fail_loudly() -> None:
    server = Server(some(7, step=0, status="new"))
    with pytest.raises(UnreadableAnswer, match="does not advance"):
        server.read()


def test_an_order_that_is_submitted_anew_does_not_hide_the_ones_between() -> None:
    orders = some(8, status="new")

    def move_the_last_of_page_one(server: Server) -> None:
        if len(server.asked) == 2:
            orders[2]["submitted_at"] = spelled(server.now_ns)

    server = Server(orders, before_answer=move_the_last_of_page_one)
    read = server.read()
    assert set(ids(read)) == {f"order-{n:03d}" for n in range(8)}
    assert read[-1].raw["submitted_at"] == orders[2]["submitted_at"]


@settings(deadline=None)
@given(st.data())
def test_no_order_is_lost_while_orders_move_and_come(data: st.DataObject) -> None:
    statuses = st.sampled_from(["filled", "canceled", "new", "accepted", "held"])
    orders = some(data.draw(st.integers(0, 12)))
    for row in orders:
        row["status"] = data.draw(statuses)
        # Pairs of one instant, as a parent and its leg are.
        row["submitted_at"] = spelled(START + row["seq"] // 2 * STEP)
    at_first = {row["id"] for row in orders}
    moves = data.draw(st.lists(st.integers(0, 30), max_size=6))

    def happen(server: Server) -> None:
        if not moves:
            return
        choice = moves.pop()
        working = [row for row in orders if row["status"] in {"new", "accepted", "held"}]
        if choice > 20:
            seq = 100 + len(orders)
            orders.append(order_row(id=f"new-{seq}", seq=seq, submitted_at=spelled(server.now_ns)))
        elif working:
            moved = working[choice % len(working)]
            moved["submitted_at"] = spelled(server.now_ns)
        server.now_ns += STEP

    kind = data.draw(st.sampled_from(KINDS))
    server = Server(orders, limit=4, before_answer=happen, **kind)
    assert at_first <= set(ids(server.read()))


def test_a_page_that_was_cut_short_is_noticed() -> None:
    server = Server(some(3), cut=lambda number, rows: rows[:1] if number == 1 else rows)
    with pytest.raises(UnreadableAnswer, match="cut short"):
        server.read()


def test_an_empty_page_that_was_not_is_noticed() -> None:
    server = Server(some(3), cut=lambda number, rows: [] if number == 1 else rows)
    with pytest.raises(UnreadableAnswer, match="cut short"):
        server.read()


@pytest.mark.parametrize("number", [2, 3])
def test_a_cut_later_page_is_noticed(number: int) -> None:
    server = Server(some(9), cut=lambda n, rows: rows[:2] if n == number else rows)
    with pytest.raises(UnreadableAnswer, match="cut short"):
        server.read()


def test_an_order_that_comes_while_the_end_is_proven_is_no_contradiction() -> None:
    orders = some(2)

    def place(server: Server) -> None:
        if len(server.asked) == 2:
            orders.append(order_row(id="late", seq=50, submitted_at=spelled(server.now_ns)))

    assert ids(Server(orders, before_answer=place).read()) == ["order-000", "order-001", "late"]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda number, rows: rows[::-1], "order"),
        (lambda number, rows: [rows[0], *rows] if rows else rows, "twice"),
    ],
)
def test_pages_that_contradict_themselves_are_noticed(spoil: Any, complaint: str) -> None:
    with pytest.raises(UnreadableAnswer, match=complaint):
        Server(some(5), cut=spoil).read()


def test_a_server_that_sends_one_page_for_ever_is_left() -> None:
    first = some(3)
    for status in ("filled", "new"):
        server = Server(some(9, status=status), cut=lambda number, rows: first)
        with pytest.raises(UnreadableAnswer, match=r"does not advance|comes again|out of order"):
            server.read()
        assert len(server.asked) < 6


def test_an_order_without_a_submission_time_cannot_be_placed() -> None:
    server = Server([])
    server.ask = lambda parameters: [order_row(submitted_at=None)]  # type: ignore[method-assign]
    with pytest.raises(UnreadableAnswer, match="submitted_at"):
        server.read()


def test_a_server_that_fails_is_not_taken_for_one_without_ids() -> None:
    def fail(server: Server) -> None:
        if len(server.asked) == 2:
            raise BrokerUnavailable("HTTP 503")

    with pytest.raises(BrokerUnavailable, match="503"):
        Server(some(5), before_answer=fail).read()
