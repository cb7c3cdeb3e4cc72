"""How long a connection has been silent, and when that is too long."""

import threading
import time

from websockets.sync.client import ClientConnection

from broker.stream_patience import Patience

PING_EVERY, PONG_WITHIN = 5.0, 10.0
ASK_AFTER, ANSWER_WITHIN = 8.0, 5.0


class Silent(Exception):
    """The connection is there, but cannot be relied on."""


class Watch:
    """How long one connection has been silent, in monotonic seconds."""

    def __init__(self, socket: ClientConnection, patience: Patience) -> None:
        self._socket, self._patience = socket, patience
        self._frame_at = time.monotonic()
        self._asked_at: float | None = None
        self._question_at: float | None = None  # the same, and kept though another frame came first
        self._pinged_at = 0.0
        self._pong: threading.Event | None = None

    def heard_frame(self) -> None:
        self._frame_at = time.monotonic()
        self._asked_at = None

    def heard_answer(self) -> None:
        if self._question_at is not None:
            self._patience.answered(time.monotonic() - self._question_at)
        self._asked_at = self._question_at = None

    def heard_pong(self) -> bool:
        """Ping when it is time to; True if a pong came since the last look."""
        now = time.monotonic()
        if self._pong is None:
            if now - self._pinged_at >= PING_EVERY:
                self._pong, self._pinged_at = self._socket.ping(), now
            return False
        if self._pong.is_set():
            self._pong = None
            return True
        if now - self._pinged_at > PONG_WITHIN:
            raise Silent(f"No pong came within {PONG_WITHIN:.0f} s.")
        return False

    @property
    def has_asked(self) -> bool:
        return self._asked_at is not None

    def must_ask(self) -> bool:
        return self.quiet_for() > ASK_AFTER

    def quiet_for(self) -> float:
        return time.monotonic() - self._frame_at

    def asked(self) -> None:
        self._asked_at = self._question_at = time.monotonic()

    def waited_too_long(self) -> bool:
        within = self._patience.within(ANSWER_WITHIN)
        return self._asked_at is not None and time.monotonic() - self._asked_at > within
