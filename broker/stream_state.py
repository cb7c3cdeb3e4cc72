"""How the stream of an account is doing: written by its follower, read by whoever would like to rely on it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from broker.models import Account, StreamState

#: The row is written this often while nothing changes, and at most once a second while much does.
WRITE_EVERY, WRITE_AT_MOST_EVERY = timedelta(seconds=5), timedelta(seconds=1)
#: Without a word from the follower, or from Alpaca to it, for so long the stream is not relied on.
STALE_AFTER = timedelta(seconds=20)
#: The reason of the gap while a follower that has just begun makes its first connection.
NOT_FOLLOWED = "It was not followed before."


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """`word`: off, live, catching_up, broken or stale. Only a live stream is relied on. `sentence`: why it is not."""

    word: str
    sentence: str
    since: datetime | None = None
    state: StreamState | None = None

    @property
    def is_live(self) -> bool:
        return self.word == "live"

    @property
    def label(self) -> str:
        return "not followed: sweeps only" if self.word == "off" else self.word.replace("_", " ")

    @property
    def tone(self) -> str:
        return {"live": "ok", "off": "mute"}.get(self.word, "warn")


def health_of(state: StreamState | None, now: datetime) -> StreamHealth:
    tell = partial(StreamHealth, state=state)
    if state is None or not state.holder or state.updated_at is None:
        return tell("off", "")
    if now - state.updated_at > STALE_AFTER:
        return tell("stale", "its follower gives no sign of life", state.updated_at)
    if state.connected_at is None:
        return tell("broken", state.gap_reason or "there is no connection", state.gap_since)
    if state.last_heard_at is None or now - state.last_heard_at > STALE_AFTER:
        return tell("stale", "connected, but silent", state.last_heard_at)
    if state.gap_since is not None:
        return tell("catching_up", state.gap_reason or "reading what was missed", state.gap_since)
    return tell("live", "", state.connected_at)


def stream_health(account_id: int, now: datetime) -> StreamHealth:
    return health_of(StreamState.objects.filter(account_id=account_id).first(), now)


def is_streamed(account_id: int, now: datetime) -> bool:
    """True while the stream tells of everything: who asks by himself may then ask seldomer."""
    return stream_health(account_id, now).is_live


class StreamNote:
    """The follower's own record of the connection, and the row that others see of it."""

    def __init__(self, *, account: Account, holder: str, now: datetime) -> None:
        self.row, _made = StreamState.objects.get_or_create(account=account)
        missed_since = self.row.gap_since or self.row.last_heard_at
        self.row.gap_since = min(missed_since, now) if missed_since else now
        self.row.gap_reason = NOT_FOLLOWED
        self.row.holder, self.row.connected_at = holder, None
        self._changed = True

    def opened(self, at: datetime) -> None:
        self.row.reconnects += self.row.last_heard_at is not None
        self.row.connected_at = self.row.last_heard_at = at
        self._changed = True

    def closed(self, reason: str, at: datetime) -> None:
        self.row.connected_at = None
        self.gap(reason, self.row.last_heard_at or at)

    def gap(self, reason: str, since: datetime) -> None:
        """Something may have been missed from then on."""
        self.row.gap_since = min(self.row.gap_since or since, since)
        self.row.gap_reason = reason[:300]
        self._changed = True

    def made_good(self) -> None:
        self.row.gap_since, self.row.gap_reason = None, ""
        self._changed = True

    def heard(self, at: datetime | None) -> None:
        self.row.last_heard_at = max(filter(None, (self.row.last_heard_at, at)), default=None)

    def event(self, at: datetime) -> None:
        self.row.events += 1
        self.row.last_event_at = at

    def is_due(self, now: datetime) -> bool:
        quiet = WRITE_AT_MOST_EVERY if self._changed else WRITE_EVERY
        return self.row.updated_at is None or abs(now - self.row.updated_at) >= quiet

    def write(self, now: datetime) -> None:
        self.row.updated_at = now
        self.row.save()
        self._changed = False

    def end(self, now: datetime) -> None:
        """Nobody follows from here on."""
        self.row.holder, self.row.connected_at = "", None
        self.write(now)
