"""The connection itself, against a server that says and withholds whatever a test wants."""

import json
import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from broker import stream, stream_watch
from broker.errors import BrokerNotConfigured, UnreadableAnswer
from broker.stream import Closed, Opened, TradeUpdates, Unreadable, Update, open_stream, pause_before
from tests.broker.samples import order_row
from tests.factories import make_account


class Server:
    """One listening server. `script` says what each connection is told after its hands are shaken."""

    def __init__(self) -> None:
        self.status = "authorized"
        self.answers_again = True
        self.script: list[bytes | str | None] = []  # None: close
        self.connections = 0
        self.asked: list[dict] = []
        self.server = serve(self._serve, "127.0.0.1", 0)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}/stream"

    def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        listened = False
        try:
            for text in socket:
                message = json.loads(text)
                self.asked.append(message)
                if message["action"] == "authenticate":
                    socket.send(say("authorization", {"status": self.status, "action": "authenticate"}))
                elif not listened or self.answers_again:
                    socket.send(say("listening", {"streams": ["trade_updates"]}))
                if message["action"] == "listen" and not listened:
                    listened = True
                    self._play(socket)
        except ConnectionClosed:
            pass

    def _play(self, socket: ServerConnection) -> None:
        script, self.script = self.script, []
        for frame in script:
            if frame is None:
                socket.close()
                return
            socket.send(frame)


def say(name: str, data: object) -> bytes:
    return json.dumps({"stream": name, "data": data}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.server.shutdown()
    made.thread.join(timeout=5)


@pytest.fixture
def heard(server):
    """What the connection hands on; it is started by the first look."""

    class Heard:
        def __init__(self) -> None:
            self.queue: SimpleQueue = SimpleQueue()
            self.connection = TradeUpdates(url=server.url, key="k", secret="s", hear=self.queue.put)

        def next(self, *, within: float = 5):
            if not self.connection.is_alive() and self.connection.ident is None:
                self.connection.start()
            try:
                return self.queue.get(timeout=within)
            except Empty:
                raise AssertionError(f"nothing was heard within {within} s") from None

    made = Heard()
    yield made
    made.connection.stop()
    assert not made.connection.is_alive()


@pytest.fixture
def impatient(monkeypatch):
    for name, seconds in {"ASK_AFTER": 0.3, "ANSWER_WITHIN": 0.3, "PING_EVERY": 0.2}.items():
        monkeypatch.setattr(stream_watch, name, seconds)


def update(event: str = "new", **fields: object) -> dict:
    return {"event": event, "order": order_row(**fields)}


def test_it_shows_its_keys_asks_for_updates_and_hands_them_on(server, heard):
    server.script = [say("trade_updates", update("fill", filled_qty="3.000000001"))]
    assert isinstance(heard.next(), Opened)
    told = heard.next()
    assert isinstance(told, Update)
    assert (told.event, str(told.order.filled_qty)) == ("fill", "3.000000001")
    assert server.asked[0] == {"action": "authenticate", "data": {"key_id": "k", "secret_key": "s"}}


def test_numbers_never_become_floats(server, heard):
    """A frame may hold bare numbers: their digits stay."""
    text = say("trade_updates", update(filled_qty="X")).decode().replace('"X"', "0.1234567890123456789")
    server.script = [text]
    heard.next()
    assert str(heard.next().order.filled_qty) == "0.1234567890123456789"


@pytest.mark.parametrize(
    "frame",
    [b"no json", "[1]", say("trade_updates", None), say("trade_updates", {"event": "fill"}),
     say("trade_updates", {"event": 7, "order": {}}), say("trade_updates", update(filled_qty="many"))],
)  # fmt: skip
def test_a_frame_that_cannot_be_read_is_told_of_and_ends_nothing(server, heard, frame):
    server.script = [frame, say("trade_updates", update())]
    heard.next()
    assert isinstance(heard.next(), Unreadable)
    assert isinstance(heard.next(), Update)
    assert server.connections == 1


def test_an_event_and_a_status_that_are_new_are_handed_on(server, heard):
    server.script = [say("trade_updates", update("weird", status="stranger", new_field=[1]))]
    heard.next()
    told = heard.next()
    assert (told.event, told.order.status) == ("weird", "stranger")


def test_a_closed_connection_is_opened_again(server, heard):
    server.script = [None]
    assert [type(heard.next()) for _ in range(3)] == [Opened, Closed, Opened]
    assert server.connections == 2


def test_refused_keys_end_it(server, heard):
    server.status = "unauthorized"
    refused = heard.next()
    assert (refused.is_refused, "does not accept the keys" in refused.reason) == (True, True)
    heard.connection.join(timeout=5)
    assert server.connections == 1


def test_keys_that_were_good_are_tried_again(server, heard):
    server.script = [None]
    assert isinstance(heard.next(), Opened)
    server.status = "unauthorized"
    assert isinstance(heard.next(), Closed)
    again = heard.next()
    assert (isinstance(again, Closed), again.is_refused) == (True, False)
    server.status = "authorized"
    while not isinstance(again, Opened):
        again = heard.next()


@pytest.mark.usefixtures("impatient")
def test_a_quiet_server_that_answers_is_kept(server, heard):
    heard.next()
    before = heard.connection.heard_at
    with pytest.raises(AssertionError):
        heard.next(within=2)
    assert len([message for message in server.asked if message["action"] == "listen"]) > 2
    assert heard.connection.heard_at > before
    assert server.connections == 1


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stops_answering_is_left(server, heard):
    heard.next()
    time.sleep(1)
    server.answers_again = False
    closed = heard.next()
    assert isinstance(closed, Closed)
    assert "not even an answer" in closed.reason
    assert isinstance(heard.next(), Opened)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_never_answers_twice_is_not_left_for_ever(server, heard):
    server.answers_again = False
    assert [type(heard.next()) for _ in range(3)] == [Opened, Closed, Opened]
    with pytest.raises(AssertionError):
        heard.next(within=2)
    assert server.connections == 2


@pytest.mark.usefixtures("impatient")
def test_without_a_pong_it_is_left(server, heard, monkeypatch):
    monkeypatch.setattr(stream_watch, "PONG_WITHIN", 0.5)
    monkeypatch.setattr("websockets.sync.client.ClientConnection.acknowledge_pings", lambda *_: None)
    assert isinstance(heard.next(), Opened)
    closed = heard.next()
    assert (isinstance(closed, Closed), "No pong" in closed.reason) == (True, True)


def test_a_complaint_opens_a_new_connection(server, heard):
    heard.next()
    heard.connection.reopen("The lists know more.")
    assert heard.next().reason == "The lists know more."
    assert isinstance(heard.next(), Opened)


def test_pauses_grow_and_are_bounded():
    pauses = [pause_before(attempt) for attempt in range(1, 40)]
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert max(pauses) == pauses[-1] == 30.0


@pytest.mark.django_db
def test_an_inactive_account_is_not_followed():
    account = make_account(is_active=False)
    with pytest.raises(BrokerNotConfigured, match="switched off"):
        open_stream(account, lambda _item: None)


def test_reasons_hold_no_secret():
    error = UnreadableAnswer("The answer is not JSON.")
    assert stream._reason(error) == "The answer is not JSON."
    assert "secret" not in stream._reason(RuntimeError("secret"))
