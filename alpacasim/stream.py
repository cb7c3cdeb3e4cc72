"""`trade_updates`: who listens, and the frames they get."""

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from .faults import STREAM_FAULTS, FaultBook
from .venue import Event

TRADE_UPDATES = "trade_updates"
_CLOSE: None = None


class Listener:
    """One connection. Frames wait in its queue, so a slow reader holds up nobody."""

    def __init__(self) -> None:
        self.key_id: str | None = None
        self.listening = False
        self.silent = False
        self.held_back: list[bytes] = []
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, frame: bytes) -> None:
        if not self.silent:
            self.queue.put_nowait(frame)

    def close(self) -> None:
        self.queue.put_nowait(_CLOSE)


class Hub:
    def __init__(self, faults: FaultBook) -> None:
        self._faults = faults
        self.listeners: set[Listener] = set()

    def publish(self, event: Event) -> None:
        frame = _frame({"stream": TRADE_UPDATES, "data": event.data})
        order = event.data["order"]
        subject = {
            "key_id": event.key_id, "event": event.data["event"], "symbol": order["symbol"],
            "client_order_id": order["client_order_id"],
        }  # fmt: skip
        # Strikes are counted per event, not per listener.
        kinds = {fault.kind for fault in self._faults.take(STREAM_FAULTS, subject)}
        for listener in self.listeners:
            if listener.listening and listener.key_id == event.key_id:
                _deliver(listener, frame, kinds)

    def close_sockets(self, key_id: str | None = None) -> int:
        chosen = [each for each in self.listeners if key_id is None or each.key_id == key_id]
        for listener in chosen:
            listener.close()
        return len(chosen)


def _deliver(listener: Listener, frame: bytes, kinds: set[str]) -> None:
    if "silent_socket" in kinds:
        listener.silent = True
    if "close_socket" in kinds:
        listener.close()
    elif "reorder_frames" in kinds:
        listener.held_back.append(frame)
    elif "lose_frame" not in kinds:
        for _ in range(2 if "double_frame" in kinds else 1):
            listener.send(frame)
        for late in listener.held_back:
            listener.send(late)
        listener.held_back.clear()


async def serve(websocket: WebSocket, hub: Hub) -> None:
    await websocket.accept()
    listener = Listener()
    hub.listeners.add(listener)
    writer = asyncio.create_task(_write(websocket, listener))
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                break
            _answer(listener, message.get("bytes") or message.get("text") or "")
    except WebSocketDisconnect:
        pass
    finally:
        hub.listeners.discard(listener)
        writer.cancel()


async def _write(websocket: WebSocket, listener: Listener) -> None:
    while (frame := await listener.queue.get()) is not _CLOSE:
        # The paper venue sends binary frames that hold JSON.
        await websocket.send_bytes(frame)
    await websocket.close(1011)


def _answer(listener: Listener, text: str | bytes) -> None:
    try:
        message = json.loads(text)
        action, data = message.get("action"), message.get("data") or {}
        if action in {"authenticate", "auth"}:
            listener.send(_frame(_authorize(listener, action, message, data)))
        elif action == "listen":
            listener.send(_frame(_listen(listener, data)))
        else:
            listener.send(_error("unknown action"))
    except (ValueError, AttributeError, TypeError):
        listener.send(_error("invalid message"))


def _authorize(listener: Listener, action: str, message: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    key_id = data.get("key_id") or message.get("key")
    secret = data.get("secret_key") or message.get("secret")
    granted = bool(key_id and secret) and key_id != "unauthorized"
    if granted:
        listener.key_id = str(key_id)
    return _authorization("authorized" if granted else "unauthorized", "authenticate")


def _listen(listener: Listener, data: dict[str, Any]) -> dict[str, Any]:
    if listener.key_id is None:
        return _authorization("unauthorized", "listen")
    streams = [name for name in data.get("streams") or [] if name == TRADE_UPDATES]
    listener.listening = bool(streams)
    return {"stream": "listening", "data": {"streams": streams}}


def _authorization(status: str, action: str) -> dict[str, Any]:
    return {"stream": "authorization", "data": {"status": status, "action": action}}


def _error(message: str) -> bytes:
    return _frame({"action": "error", "data": {"error_message": message}})


def _frame(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
