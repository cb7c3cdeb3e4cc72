"""What a chart shows, as values. Numbers are exact; None is a gap."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

#: A moment, a day, or a label of its own. One chart uses either labels or times.
When = datetime | date | str
Tone = str
TONES = frozenset({"accent", "ok", "warn", "bad", "mute"})


@dataclass(frozen=True, slots=True)
class Point:
    at: When
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class Series:
    """One line. A point without a value breaks it."""

    name: str
    points: Sequence[Point]
    tone: Tone = "accent"


@dataclass(frozen=True, slots=True)
class Bars:
    """One value for each category of a bar chart, in the order of the categories."""

    name: str
    values: Sequence[Decimal | None]
    tone: Tone = "accent"


@dataclass(frozen=True, slots=True)
class Candle:
    at: datetime | date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = field(default=Decimal(0))

    @property
    def is_down(self) -> bool:
        return self.close < self.open


@dataclass(frozen=True, slots=True)
class Level:
    """A price that matters, drawn across the whole chart."""

    label: str
    value: Decimal
    tone: Tone = "mute"


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened at a time and a price; `href` leads to it."""

    at: datetime
    value: Decimal
    label: str
    shape: Literal["up", "down", "diamond"] = "diamond"
    href: str = ""
