"""What the conditions are judged by: read from the rows in `looking`, plain values here. Pure."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Thing:
    """One of the things that a condition is about: `key` makes it the same at the next look."""

    key: str
    words: str
    since: datetime
    severity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    slug: str
    name: str
    drifts: tuple[Thing, ...] = ()
    unconfirmed: tuple[Thing, ...] = ()
    unanswered: tuple[Thing, ...] = ()  # claimed to be sent, and nobody has noted yet what came of it
    incomplete_runs: int = 0  # in a row, the newest among them
    incomplete_reason: str = ""
    unread_since: datetime | None = None
    unread_reason: str = ""
    halted_since: datetime | None = None
    halted_by: str = ""
    halted_reason: str = ""
    stream_word: str = "off"
    stream_sentence: str = ""
    stream_since: datetime | None = None
    approvals: tuple[Thing, ...] = ()
    crossings: tuple[Thing, ...] = ()
    halted_batches: tuple[Thing, ...] = ()
    late_batches: tuple[Thing, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of one process: its part (`ticker`, `worker`), its host, and when."""

    part: str
    host: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    accounts: tuple[AccountFacts, ...] = ()
    beats: tuple[Beat, ...] = ()
    dropped: tuple[Thing, ...] = ()
    failing_channels: tuple[Thing, ...] = field(default=())
