"""The next page is asked for while the last one is worked on, and is read as if it had been asked for in its turn."""

from threading import Event, current_thread
from typing import Any

import pytest

from broker.ahead import Ahead
from broker.answers import Answer
from broker.errors import OutcomeUnknown, UnreadableAnswer
from broker.gateway import open_gateway
from broker.models import Account
from tests.broker.samples import START, order_row, spelled
from tests.broker.test_activity_pages import activities, walked
from tests.broker.test_order_pages import KINDS, Server, ids, some
from tests.simulation import SimAccount

FOUND = Answer(200, {}, b"[]")


def test_an_answer_is_on_its_way_at_once_and_given_once() -> None:
    asked = Event()

    def get(path: str, parameters: dict[str, str]) -> Answer:
        asked.set()
        return Answer(200, {}, f"{path} {parameters['token']}".encode())

    ahead = Ahead(get, "/orders", lambda: True, bytes.decode)
    assert ahead.take({"token": "1"}) is None
    assert ahead.begin({"token": "1"})
    assert asked.wait(10)
    answer = ahead.take({"token": "1"})
    assert answer is not None
    assert answer.body == b"/orders 1"
    assert ahead.take({"token": "1"}) is None


def test_an_answer_to_another_question_is_forgotten() -> None:
    ahead = Ahead(lambda path, parameters: FOUND, "/orders", lambda: True, bytes.decode)
    ahead.begin({"token": "1"})
    assert ahead.take({"token": "2"}) is None


def test_what_went_wrong_is_raised_where_the_answer_is_wanted() -> None:
    def fail(path: str, parameters: dict[str, str]) -> Answer:
        raise OutcomeUnknown("the connection broke")

    ahead = Ahead(fail, "/orders", lambda: True, bytes.decode)
    ahead.begin({})
    with pytest.raises(OutcomeUnknown, match="broke"):
        ahead.take({})


def test_nothing_is_begun_that_had_to_wait_its_turn() -> None:
    ahead = Ahead(lambda path, parameters: FOUND, "/orders", lambda: False, bytes.decode)
    assert not ahead.begin({})
    assert ahead.take({}) is None


def test_an_answer_is_read_beside_and_given_once() -> None:
    readers: list[str] = []

    def read(body: bytes) -> str:
        readers.append(current_thread().name)
        return body.decode()

    ahead = Ahead(lambda path, parameters: FOUND, "/orders", lambda: True, read)
    ahead.begin({})
    answer = ahead.take({})
    assert answer is not None
    assert ahead.values(answer) == "[]"
    assert readers == ["ahead"]
    assert ahead.values(answer) == "[]"  # whoever asks again reads it himself
    assert ahead.values(Answer(200, {}, b"another")) == "another"
    assert readers[1:] == [current_thread().name] * 2


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_cannot_be_read_is_judged_by_whoever_takes_it(status: int) -> None:
    def refuse(body: bytes) -> str:
        assert status == 200 or current_thread().name != "ahead", "an error is no page"
        raise UnreadableAnswer("torn")

    ahead = Ahead(lambda path, parameters: Answer(status, {}, b"["), "/orders", lambda: True, refuse)
    ahead.begin({})
    answer = ahead.take({})
    assert answer is not None
    with pytest.raises(UnreadableAnswer, match="torn"):
        ahead.values(answer)


class Begun:
    """Answers a question as things were when it was begun."""

    def __init__(self, ask: Any) -> None:
        self.ask = ask
        self.begun: list[tuple[dict[str, str], list[Any], Exception | None]] = []

    def begin(self, parameters: dict[str, str]) -> bool:
        try:
            self.begun.append((parameters, self.ask(parameters), None))
        except Exception as error:
            self.begun.append((parameters, [], error))
        return True

    def __call__(self, parameters: dict[str, str]) -> list[Any]:
        if not self.begun:
            return self.ask(parameters)
        asked, rows, error = self.begun.pop()
        assert asked == parameters
        if error:
            raise error
        return rows


@pytest.mark.parametrize("count", range(9))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["filled", "new"])
def test_every_order_is_read_once(count: int, kind: dict[str, Any], status: str) -> None:
    server = Server(some(count, status=status), **kind)
    walk, begun = server.walk(), Begun(server.ask)
    walk.ask, walk.begin = begun, begun.begin
    assert ids([order for page in walk.pages() for order in page.orders]) == [f"order-{n:03d}" for n in range(count)]


@pytest.mark.parametrize("count", range(8))
def test_every_activity_is_read_once(count: int) -> None:
    walk = walked(activities(count))
    begun = Begun(walk.ask)
    walk.ask, walk.begin = begun, begun.begin
    assert [f.activity_id for page in walk.pages() for f in page.fills] == [row["id"] for row in activities(count)]


def test_an_order_placed_after_the_question_was_begun_is_no_page_cut_short() -> None:
    server = Server(some(4))
    walk, begun = server.walk(), Begun(server.ask)
    walk.ask, walk.begin = begun, begun.begin
    pages = walk.pages()
    next(pages)  # the question for the rest is begun
    server.now_ns += 10**9
    at = spelled(server.now_ns)
    server.now_ns += 10**9
    server.orders.append(order_row(id="late", seq=9, status="filled", submitted_at=at))
    assert [o.broker_order_id for page in pages for o in page.orders] == ["order-003", "late"]


def test_an_order_that_was_there_when_the_question_was_begun_is() -> None:
    server = Server(some(5))
    walk, begun = server.walk(), Begun(server.ask)
    walk.ask, walk.begin = begun, begun.begin
    server.cut = lambda number, rows: rows[:1] if number == 2 else rows
    with pytest.raises(UnreadableAnswer, match="cut short"):
        list(walk.pages())


@pytest.mark.django_db
def test_pages_from_the_simulator(sim_account: Account, sim: SimAccount) -> None:
    times_of = [spelled(START + n * 10**9) for n in range(1100)]
    terms = {
        "symbol": "QCOM",
        "side": "buy",
        "qty": "1",
        "type": "market",
        "status": "filled",
        "filled_avg_price": "100",
    }
    orders = [
        {**terms, "client_order_id": f"old-{n}", "submitted_at": at, "filled_at": at} for n, at in enumerate(times_of)
    ]
    account = {"cash": "9000000", "created_at": spelled(START - 86_400 * 10**9), "orders": orders}
    sim.simulator.admin("state", {"accounts": {sim.key_id: account}})
    gateway = open_gateway(sim_account)
    names = [o.client_order_id for page in gateway.orders_since(None, reads_ahead=True) for o in page.orders]
    assert names == [f"old-{n}" for n in range(1100)]
    fills = [f for page in gateway.activities_since(None, reads_ahead=True) for f in page.fills]
    assert len(fills) == 1100
    assert gateway.calls == len(sim.requests("GET")) == 4 + 13
