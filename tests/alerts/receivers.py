"""Servers that channels send to, on loopback: a webhook and a mail server that keep what they get."""

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """Keeps the JSON documents that it got. `status` is its answer; while `hangs` is not set it answers at all."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        self.hangs = threading.Event()
        self.port = 0

    def address(self, path: str = "hook") -> str:
        return f"json://user:pass-word-9@127.0.0.1:{self.port}/{path}"


@contextmanager
def webhook() -> Iterator[Webhook]:
    kept = Webhook()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if kept.hangs.is_set():
                over.wait(30)
                return
            self.send_response(kept.status)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class MailServer:
    """Keeps the mails that it got, as text. `refuses` answers every recipient with 550."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.refuses = False
        self.port = 0

    def address(self) -> str:
        return f"mailto://127.0.0.1:{self.port}/?from=desk@example.test&to=ops@example.test&mode=insecure"


class _MailSession(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        kept: MailServer = self.server.kept  # type: ignore[attr-defined]
        self._say("220 test")
        for line in self.rfile:
            word = line[:4].decode("ascii", "replace").upper().strip()
            if word == "DATA":
                self._say("354 go on")
                lines: list[bytes] = []
                for data in self.rfile:
                    if data == b".\r\n":
                        break
                    lines.append(data)
                kept.got.append(b"".join(lines).decode("utf-8", "replace"))
                self._say("250 kept")
            elif word == "RCPT" and kept.refuses:
                self._say("550 no such person")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 well")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[MailServer]:
    kept = MailServer()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _MailSession)
    server.daemon_threads = True
    server.kept = kept  # type: ignore[attr-defined]
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
