"""The ASGI layer around the API that logs requests, adds latency and lets scripted faults strike."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .faults import HTTP_FAULTS, Fault
from .simulator import Simulator

PATHS = ("/v2/",)
TRANSPORT = "alpacasim.transport"
HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr></body></html>"
_REASONS = {429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
            503: "Service Unavailable", 504: "Gateway Time-out"}  # fmt: skip
_BODIES = {429: {"code": 42910000, "message": "rate limit exceeded"}}

Faults = dict[str, Fault]


class Reply:
    """A whole answer, held back so that a fault can change it."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def document(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def set_document(self, document: Any) -> None:
        self.body = json.dumps(document, separators=(",", ":")).encode()

    async def send(self, send: Send, declared_length: int | None = None) -> None:
        length = len(self.body) if declared_length is None else declared_length
        headers = [(name, value) for name, value in self.headers if name != b"content-length"]
        if self.status != 204:
            headers.append((b"content-length", str(length).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": length > len(self.body)})


class FaultLayer:
    def __init__(self, app: ASGIApp, simulator: Simulator) -> None:
        self._app = app
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PATHS):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        subject = describe(scope, body)
        entry = self._simulator.faults.log(subject)
        faults = {fault.kind: fault for fault in self._simulator.faults.take(HTTP_FAULTS, subject)}
        scope["alpacasim.faults"] = faults
        try:
            reply = await self._answer(scope, body, faults)
            if reply is None:
                await _cut(scope, receive)
                return
            entry["status"] = reply.status
            await self._deliver(scope, receive, send, reply, faults)
        except Hung:
            await _until_disconnected(receive)

    async def _answer(self, scope: Scope, body: bytes, faults: Faults) -> Reply | None:
        """Lets the API answer, unless a fault stands before it; None means no answer at all."""
        if "hang" in faults and not faults["hang"].args.get("accept"):
            raise Hung
        if "delay_accept" in faults:
            await asyncio.sleep(_seconds(faults["delay_accept"]))
        if self._simulator.latency_ms:
            await asyncio.sleep(self._simulator.latency_ms / 1000)
        if "status" in faults:
            return _scripted(faults["status"])
        reply = await _capture(self._app, scope, body)
        if "hang" in faults:
            raise Hung
        if "drop_answer" in faults:
            return None
        if "status_after_accept" in faults:
            return _scripted(faults["status_after_accept"])
        _alter(reply, faults)
        if "delay_answer" in faults:
            await asyncio.sleep(_seconds(faults["delay_answer"]))
        return reply

    async def _deliver(self, scope: Scope, receive: Receive, send: Send, reply: Reply, faults: Faults) -> None:
        cut = faults.get("truncated_body")
        if cut is None:
            await reply.send(send)
            return
        whole = len(reply.body)
        reply.body = reply.body[: int(cut.args.get("bytes", whole // 2))]
        if cut.args.get("close"):
            # The length that was promised never comes: the client sees a broken transfer.
            await reply.send(send, declared_length=whole)
            await _cut(scope, receive)
        else:
            await reply.send(send)


class Hung(Exception):
    """The request is never answered."""


def describe(scope: Scope, body: bytes) -> dict[str, Any]:
    """What a fault may match on."""
    query = scope["query_string"].decode("latin-1")
    headers = dict(scope["headers"])
    fields = dict(parse_qsl(query))
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    tail = scope["path"].rsplit("/", 1)[-1]
    symbols = {document.get("symbol"), fields.get("symbol"), *fields.get("symbols", "").split(","), tail}
    return {
        "method": scope["method"],
        "path": scope["path"],
        "query": query,
        "key_id": headers.get(b"apca-api-key-id", b"").decode("latin-1"),
        "client_order_id": document.get("client_order_id") or fields.get("client_order_id"),
        "symbol": frozenset(name for name in symbols if isinstance(name, str) and name),
    }


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        body += chunk
        if not message.get("more_body"):
            return body


async def _capture(app: ASGIApp, scope: Scope, body: bytes) -> Reply:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    content: bytes = b"".join(m.get("body", b"") for m in messages[1:])
    return Reply(messages[0]["status"], messages[0]["headers"], content)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(scope: Scope, receive: Receive) -> None:
    """Closes the connection under the answer."""
    scope["state"][TRANSPORT].close()
    await _until_disconnected(receive)


def _seconds(fault: Fault) -> float:
    return float(fault.args.get("seconds", 1))


def _scripted(fault: Fault) -> Reply:
    status = int(fault.args.get("status", 504 if fault.kind == "status_after_accept" else 500))
    reason = f"{status} {_REASONS.get(status, 'Error')}"
    body = fault.args.get("body", _BODIES.get(status))
    as_html = fault.args.get("html", body is None)
    content = HTML.format(reason) if as_html else body if isinstance(body, str) else json.dumps(body)
    headers = [(b"content-type", b"text/html" if as_html else b"application/json")]
    named = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "0"} if status == 429 else {}
    named |= {str(name): str(value) for name, value in fault.args.get("headers", {}).items()}
    headers += [(name.lower().encode(), value.encode()) for name, value in named.items()]
    return Reply(status, headers, content.encode())


def _alter(reply: Reply, faults: Faults) -> None:
    """Changes a good answer; refusals stay as they are."""
    if reply.status >= 300:
        return
    if "garbage" in faults:
        reply.body = str(faults["garbage"].args.get("body", "\x00<garbage>{")).encode()
        return
    document = reply.document()
    if "empty_list" in faults and isinstance(document, list):
        document = []
    if "truncated_page" in faults and isinstance(document, list):
        dropped = int(faults["truncated_page"].args.get("rows", (len(document) + 1) // 2))
        document = document[: max(len(document) - dropped, 0)]
    if "unknown_status" in faults:
        status = faults["unknown_status"].args.get("status", "frobbed")
        document = _with_status(document, status)
    if {"empty_list", "truncated_page", "unknown_status"} & faults.keys():
        reply.set_document(document)


def _with_status(document: Any, status: str) -> Any:
    if isinstance(document, list):
        return [_with_status(row, status) for row in document]
    return document | {"status": status} if isinstance(document, dict) and "status" in document else document
