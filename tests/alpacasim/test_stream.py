"""`trade_updates` through the real TradingStream, and the raw frames under it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websockets.asyncio.client
from alpaca.trading.stream import TradingStream

from .conftest import Sim, wait_for


class Follower:
    """The real TradingStream in a thread, and what it handed to its handler."""

    def __init__(self, sim: Sim, key_id: str = "sim") -> None:
        self.frames: list[dict[str, Any]] = []
        self._stream = TradingStream(key_id, "any", paper=True, raw_data=True, url_override=sim.running.stream_url)
        self._stream.subscribe_trade_updates(self._keep)
        self._thread = threading.Thread(target=self._stream.run, daemon=True)
        self._sim, self._hub = sim, sim.running.simulator.hub
        self._thread.start()
        self.wait_listening()

    async def _keep(self, message: dict[str, Any]) -> None:
        self.frames.append(message["data"])

    def wait_listening(self) -> None:
        wait_for(lambda: any(listener.listening for listener in self._hub.listeners), "a listener")

    def events(self, order_id: str) -> list[str]:
        return [frame["event"] for frame in self.frames if frame["order"]["id"] == order_id]

    def wait_events(self, order_id: str, *events: str) -> None:
        wait_for(lambda: self.events(order_id) == list(events), f"{events}, so far {self.events(order_id)}")

    def stop(self) -> None:
        # The client looks at its stop flag after each frame or each closed socket, so the socket is closed.
        self._stream.stop()
        self._sim.act("close_sockets")
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


@pytest.fixture
def follower(sim: Sim) -> Iterator[Follower]:
    follower = Follower(sim)
    yield follower
    follower.stop()


def test_a_fill_is_told_with_its_execution(sim: Sim, follower: Follower) -> None:
    sim.price("DVN", "32.61")
    sim.act("config", partial_fills=True)
    order = sim.market("DVN", 225)
    follower.wait_events(order["id"], "pending_new", "new", "partial_fill", "fill")
    part, whole = follower.frames[-2:]
    assert (part["qty"], part["price"], part["position_qty"]) == ("112", "32.61", "112")
    assert (whole["qty"], whole["price"], whole["position_qty"]) == ("113", "32.61", "225")
    assert whole["order"]["filled_qty"] == "225"
    assert whole["order"]["legs"] is None
    assert part["execution_id"] != whole["execution_id"]
    assert "price" not in follower.frames[0]


def test_cancel_and_replace_are_told(sim: Sim, follower: Follower) -> None:
    sim.price("AAPL", "100")
    order = sim.limit(50)
    follower.wait_events(order["id"], "pending_new", "new")
    new = sim.api("PATCH", f"/v2/orders/{order['id']}", json={"limit_price": "51"}).json()
    follower.wait_events(order["id"], "pending_new", "new", "replaced")
    assert follower.frames[2]["order"]["limit_price"] == "50"
    assert follower.frames[2]["order"]["replaced_by"] == new["id"]
    sim.client.cancel_order_by_id(new["id"])
    follower.wait_events(new["id"], "new", "pending_cancel", "canceled")


def test_another_accounts_orders_are_not_told(sim: Sim, follower: Follower) -> None:
    answer = sim.api(
        "POST", "/v2/orders", headers={"APCA-API-KEY-ID": "other"},
        json={"symbol": "KO", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"},
    )  # fmt: skip
    own = sim.market()
    follower.wait_events(own["id"], "pending_new", "new", "fill")
    assert follower.events(answer.json()["id"]) == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("lose_frame", ["pending_new", "fill"]),
        ("double_frame", ["pending_new", "new", "new", "fill"]),
        ("reorder_frames", ["pending_new", "fill", "new"]),
    ],
)
def test_frames_are_lost_doubled_and_reordered(sim: Sim, follower: Follower, fault: str, expected: list[str]) -> None:
    sim.fault(fault, match={"event": "new"}, times=1)
    order = sim.market()
    follower.wait_events(order["id"], *expected)


def test_a_silent_socket_stays_open_and_says_nothing(sim: Sim, follower: Follower) -> None:
    sim.fault("silent_socket", match={"event": "new"}, times=1)
    order = sim.buy_filled()
    after = sim.buy_filled()
    assert follower.events(order["id"]) == ["pending_new"]
    assert follower.events(after["id"]) == []
    assert len(sim.running.simulator.hub.listeners) == 1


def test_a_closed_socket_is_opened_again_by_the_client_and_nothing_is_replayed(sim: Sim, follower: Follower) -> None:
    before = set(sim.running.simulator.hub.listeners)
    sim.fault("close_socket", match={"event": "new"}, times=1)
    lost = sim.buy_filled()
    wait_for(lambda: any(each.listening for each in sim.running.simulator.hub.listeners - before), "a new connection")
    order = sim.market()
    follower.wait_events(order["id"], "pending_new", "new", "fill")
    assert follower.events(lost["id"]) == ["pending_new"]


def talk(url: str, *messages: dict[str, Any]) -> list[tuple[type, dict[str, Any]]]:
    """Sends each message and returns the type and content of each answer."""

    async def converse() -> list[tuple[type, dict[str, Any]]]:
        answers = []
        async with websockets.asyncio.client.connect(url, proxy=None) as socket:
            for message in messages:
                await socket.send(json.dumps(message))
                frame = await asyncio.wait_for(socket.recv(), 5)
                answers.append((type(frame), json.loads(frame)))
        return answers

    return asyncio.run(converse())


AUTHENTICATE = {"action": "authenticate", "data": {"key_id": "sim", "secret_key": "sim"}}
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}


def answer(status: str, action: str) -> dict[str, Any]:
    return {"stream": "authorization", "data": {"status": status, "action": action}}


def test_the_handshake_in_both_forms_comes_in_binary_frames(sim: Sim) -> None:
    newer = {"action": "auth", "key": "sim", "secret": "sim"}
    for form in (AUTHENTICATE, newer):
        granted, listening = talk(sim.running.stream_url, form, LISTEN)
        assert granted == (bytes, answer("authorized", "authenticate"))
        assert listening == (bytes, {"stream": "listening", "data": {"streams": ["trade_updates"]}})


def test_the_wrong_key_and_no_key_are_refused(sim: Sim) -> None:
    wrong = {"action": "authenticate", "data": {"key_id": "unauthorized", "secret_key": "x"}}
    [(_, refused), (_, unheard)] = talk(sim.running.stream_url, wrong, LISTEN)
    assert refused == answer("unauthorized", "authenticate")
    assert unheard == answer("unauthorized", "listen")


def test_nonsense_on_the_socket_is_answered_with_an_error(serve: Callable[..., Sim]) -> None:
    [(_, error)] = talk(serve().running.stream_url, {"action": "dance"})
    assert error == {"action": "error", "data": {"error_message": "unknown action"}}
