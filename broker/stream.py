"""The `trade_updates` connection of one account: opened, watched, and opened again. The only door to the stream.

A thread of its own, so that nothing that is slow to book holds up the connection. What it hears it hands on in order:
`Opened`, `Update`, `Unreadable`, `Closed`. It never ends by itself but when the keys are refused; Alpaca repeats
nothing, so whoever listens must read after every `Opened`.

Three silences end a connection: no pong, no answer to a second `listen` (a socket may be open and answer pings while
no frame comes through any more), and a complaint by the listener that Alpaca's lists know more (`reopen`).
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import ClientConnection, connect

from broker import mapping
from broker.accounts import credentials, stream_url
from broker.errors import BrokerError, BrokerNotConfigured, BrokerUnauthorized, BrokerUnavailable, UnreadableAnswer
from broker.models import Account
from broker.stream_patience import Patience
from broker.stream_watch import Silent, Watch
from broker.types import BrokerOrder

log = logging.getLogger(__name__)

TRADE_UPDATES = "trade_updates"
OPEN_WITHIN = 10.0
#: A connection that lived this long was a good one: the next one is tried at once.
_GOOD_AFTER = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
#: Alpaca allows few connections; one that is refused with 429 is not tried again within this.
_TOO_MANY_PAUSE = 10.0
_STEP = 0.25
_LARGEST_FRAME = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """Authorised and listening from here on; what happened before was not told."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is gone, or could not be made. `is_refused`: the keys were, and nothing more is tried."""

    at: datetime
    reason: str
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """One event: Alpaca's word for it, and the order as it was right after it."""

    at: datetime
    event: str
    order: BrokerOrder


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A frame came that says nothing to us: something happened, and it is not known what."""

    at: datetime
    reason: str


Heard = Opened | Closed | Update | Unreadable


def open_stream(account: Account, hear: Callable[[Heard], None]) -> "TradeUpdates":
    """Return the connection of the account, not yet started. Raise `BrokerNotConfigured` if it may not be reached."""
    if not account.is_active:
        raise BrokerNotConfigured(f"The account {account.slug} is switched off: it is not followed.")
    key, secret = credentials(account)
    return TradeUpdates(url=stream_url(account), key=key, secret=secret, hear=hear)


def pause_before(attempt: int) -> float:
    """Return the longest pause before the attempt of that number in a row: each time twice as long, and bounded."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt - 1, 10))


class TradeUpdates(threading.Thread):
    def __init__(self, *, url: str, key: str, secret: str, hear: Callable[[Heard], None]) -> None:
        super().__init__(name="trade_updates", daemon=True)
        self.url = url
        self.heard_at: datetime | None = None
        self._key, self._secret = key, secret
        self._hear = hear
        self._stopping = threading.Event()
        self._complaint = ""
        self._was_authorized = False
        #: Does the server answer a second `listen`? Not known before it did, or did not on two connections.
        self._answers: bool | None = None
        self._unanswered = 0
        self._patience = Patience()

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=5)

    def reopen(self, reason: str) -> None:
        """Give this connection up for a new one."""
        self._complaint = reason

    def run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            reason, is_refused = self._live()
            if self._stopping.is_set():
                return
            self._hear(Closed(timezone.now(), reason, is_refused))
            if is_refused:
                return
            attempt = 1 if time.monotonic() - began > _GOOD_AFTER else attempt + 1
            pause = pause_before(attempt) * random.uniform(0.5, 1)  # noqa: S311  # spreads, hides nothing
            self._stopping.wait(max(pause, _TOO_MANY_PAUSE) if "429" in reason else pause)

    def _live(self) -> tuple[str, bool]:
        """Open one connection and follow it to its end; return why it ended, and whether the keys were refused."""
        try:
            with self._connect() as socket:
                self._follow(socket)
            return "The connection was closed by us.", False
        except BrokerUnauthorized as error:
            # Keys that were good before may be refused for a moment; keys that never were will not become good.
            return str(error), not self._was_authorized
        except Exception as error:  # whatever it was, the next connection may be better
            if not isinstance(error, BrokerError | Silent | WebSocketException | OSError | EOFError):
                log.exception("the stream failed")
            return _reason(error), False

    def _connect(self) -> ClientConnection:
        # Proxies of the computer are not used: they could send the keys elsewhere.
        return connect(
            self.url, open_timeout=OPEN_WITHIN, close_timeout=1, ping_interval=None, compression=None, proxy=None,
            max_size=_LARGEST_FRAME, max_queue=None,
        )  # fmt: skip

    def _follow(self, socket: ClientConnection) -> None:
        self._complaint = ""
        self._shake_hands(socket)
        self._was_authorized = True
        self.heard_at = timezone.now()
        self._hear(Opened(self.heard_at))
        watch = Watch(socket, self._patience)
        while not self._stopping.is_set():
            try:
                frame = socket.recv(timeout=_STEP)
            except TimeoutError:
                pass
            else:
                watch.heard_frame()
                self.heard_at = timezone.now()
                self._take(frame, watch)
            if self._complaint:
                raise Silent(self._complaint)
            if watch.heard_pong():
                self.heard_at = timezone.now()
            self._question(socket, watch)

    def _shake_hands(self, socket: ClientConnection) -> None:
        _send(socket, {"action": "authenticate", "data": {"key_id": self._key, "secret_key": self._secret}})
        status = _await(socket, "authorization").get("status")
        if status != "authorized":
            raise BrokerUnauthorized(f"Alpaca does not accept the keys for its stream of trade updates ({status}).")
        asked = time.monotonic()
        _send(socket, _LISTEN)
        if TRADE_UPDATES not in (_await(socket, "listening").get("streams") or []):
            raise BrokerUnavailable("Alpaca's stream did not confirm that it will tell of trade updates.")
        self._patience.took(time.monotonic() - asked)

    def _take(self, frame: str | bytes, watch: Watch) -> None:
        now = timezone.now()
        try:
            for message in _messages(frame):
                stream, data = message.get("stream"), message.get("data")
                if stream == TRADE_UPDATES:
                    self._hear(_update(data, now))
                elif stream == "listening":
                    watch.heard_answer()
                    self._answers, self._unanswered = True, 0
                elif stream == "authorization":
                    raise BrokerUnauthorized("Alpaca withdrew the authorisation of its stream.")
                else:
                    log.warning("the stream said what nobody asked for: %.200s", message)
        except UnreadableAnswer as error:
            self._hear(Unreadable(now, str(error)))

    def _question(self, socket: ClientConnection, watch: Watch) -> None:
        """Ask a silent server for a sign along the way that updates take: pongs come another way."""
        if self._answers is False or not watch.must_ask():
            return
        if not watch.has_asked:
            watch.asked()
            _send(socket, _LISTEN)
        elif watch.waited_too_long():
            self._unanswered += 1
            self._patience.was_in_vain()
            if self._answers is None and self._unanswered > 1:
                self._answers = False
                log.warning("this server does not answer a second listen: its silence is not questioned any more")
            else:
                raise Silent(f"No frame came for {watch.quiet_for():.0f} s, not even an answer to a question.")


_LISTEN = {"action": "listen", "data": {"streams": [TRADE_UPDATES]}}


def _send(socket: ClientConnection, message: dict[str, Any]) -> None:
    socket.send(json.dumps(message))


def _await(socket: ClientConnection, stream: str) -> dict[str, Any]:
    """Return the data of the next message of that stream; others before it are of no use yet."""
    deadline = time.monotonic() + OPEN_WITHIN
    while (left := deadline - time.monotonic()) > 0:
        for message in _messages(socket.recv(timeout=left)):
            data = message.get("data")
            if message.get("stream") in {stream, "authorization"} and isinstance(data, dict):
                if message["stream"] != stream:
                    raise BrokerUnauthorized("Alpaca's stream refused to tell of trade updates.")
                return data
    raise TimeoutError


def _messages(frame: str | bytes) -> Iterator[dict[str, Any]]:
    """The paper venue sends binary frames that hold JSON, the live one text."""
    document = mapping.parse_json(frame)
    for message in document if isinstance(document, list) else [document]:
        if not isinstance(message, dict):
            raise UnreadableAnswer("A frame of the stream is no object.")
        yield message


def _update(data: object, now: datetime) -> Update:
    if not isinstance(data, dict) or not isinstance(data.get("event"), str):
        raise UnreadableAnswer("An update of the stream names no event.")
    return Update(now, data["event"], mapping.to_order(data.get("order")))


def _reason(error: Exception) -> str:
    """A sentence for people. The library's own texts name hosts and frames."""
    if isinstance(error, Silent | BrokerError):
        return str(error)
    if isinstance(error, InvalidStatus):
        return f"Alpaca's stream refused the connection (HTTP {error.response.status_code})."
    if isinstance(error, InvalidURI):
        return "The address of the stream is none."
    if isinstance(error, TimeoutError):
        return "Alpaca's stream did not answer in time."
    if isinstance(error, ConnectionRefusedError):
        return "Alpaca's stream refused the connection: nothing listens there."
    if isinstance(error, OSError):
        return f"No connection to Alpaca's stream ({error.strerror or type(error).__name__})."
    return f"The connection to Alpaca's stream broke ({type(error).__name__})."
