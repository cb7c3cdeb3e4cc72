"""From values to places. Ticks and their labels are exact; only the place on the screen is a float."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_FLOOR, Decimal

from ui.charts.values import When
from ui.formatting import MINUS, NEW_YORK, percent, price, qty

_MOST_TICKS = 6
_MILLION = Decimal(1_000_000)
_MONEY_UNITS = frozenset({"$", "USD"})


def spell(value: Decimal | None, unit: str) -> str:
    """Write a value as the table and the readout show it."""
    if unit in _MONEY_UNITS:
        return price(value)
    return percent(value).removesuffix(" %") if unit == "%" else qty(value)


@dataclass(frozen=True, slots=True)
class ValueScale:
    """The vertical axis of a drawing of `height` pixels."""

    low: Decimal
    high: Decimal
    ticks: tuple[Decimal, ...]
    height: int

    def y(self, value: Decimal) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(float(1 - share) * self.height, 2)

    def label(self, tick: Decimal) -> str:
        step = self.ticks[1] - self.ticks[0]
        if step >= 10_000 and max(abs(self.low), abs(self.high)) >= _MILLION:
            return _places(tick / _MILLION, step / _MILLION) + " M"
        return _places(tick, step)


def _places(tick: Decimal, step: Decimal) -> str:
    """Write a tick with as many places as its step has: 0.5, 1.0, 1.5."""
    places = max(0, -int(step.normalize().as_tuple().exponent))
    text = f"{abs(tick):,.{places}f}"
    return f"{MINUS}{text}" if tick < 0 else text


def value_scale(values: Iterable[Decimal], *, height: int, with_zero: bool = False) -> ValueScale:
    """Fit an axis with round ticks around the values, however equal, small or negative they are."""
    known = [*values, *([Decimal(0)] if with_zero else [])]
    low, high = min(known), max(known)
    if low == high:
        room = abs(low) / 100 or Decimal(1)
        low, high = low - room, high + room
    step = _round_step((high - low) / (_MOST_TICKS - 1))
    first = (low / step).to_integral_value(ROUND_FLOOR) * step
    ticks = [first]
    while ticks[-1] < high:
        ticks.append(ticks[-1] + step)
    return ValueScale(low=ticks[0], high=ticks[-1], ticks=tuple(ticks), height=height)


def _round_step(least: Decimal) -> Decimal:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is not smaller than `least`."""
    power = Decimal(1).scaleb(least.adjusted())
    return next(power * Decimal(factor) for factor in ("1", "2", "2.5", "5", "10") if power * Decimal(factor) >= least)


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


class TimeAxis:
    """Time from left to right, as long as it took."""

    def __init__(self, whens: Sequence[When]) -> None:
        moments = [moment_of(when) for when in whens if not isinstance(when, str)]
        self._first, self._last = min(moments), max(moments)
        self._is_daily = not any(isinstance(when, datetime) for when in whens)

    def x(self, when: When) -> float:
        """Return percent of the width."""
        if isinstance(when, str) or self._first == self._last:
            return 50.0
        return round((moment_of(when) - self._first) / (self._last - self._first) * 100, 3)

    def ticks(self) -> list[Tick]:
        length = self._last - self._first
        if length <= timedelta(days=2) and not self._is_daily:
            return [Tick(self.x(at), label) for at, label in _hours(self._first, self._last)]
        days = max(1, -(-length.days // 8))
        if days <= 21:
            return [Tick(self.x(at), f"{at:%b} {at.day}") for at in _days(self._first, self._last, days)]
        return [Tick(self.x(at), f"{at:%b %Y}") for at in _months(self._first, self._last, -(-days // 31))]


class LabelAxis:
    """One place for each label, side by side."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = list(labels)
        self._place = {label: number for number, label in enumerate(self.labels)}

    @property
    def step(self) -> float:
        return 100 / len(self.labels)

    def x(self, label: When) -> float:
        return self.middle(self._place[str(label)])

    def middle(self, number: int) -> float:
        return round((number + 0.5) * self.step, 3)

    def ticks(self) -> list[Tick]:
        every = max(1, -(-len(self.labels) // 12))
        return [Tick(self.middle(number), self.labels[number]) for number in range(0, len(self.labels), every)]


def axis_of(whens: Sequence[When]) -> TimeAxis | LabelAxis:
    if any(isinstance(when, str) for when in whens):
        return LabelAxis(list(dict.fromkeys(str(when) for when in whens)))
    return TimeAxis(whens)


def moment_of(when: datetime | date) -> datetime:
    """A day counts from its midnight in New York."""
    return when if isinstance(when, datetime) else datetime.combine(when, time(), NEW_YORK)


def _hours(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    hours = next(n for n in (1, 2, 3, 6, 12) if last - first <= timedelta(hours=8 * n))
    if last - first <= timedelta(hours=1):
        return [(at, f"{at.astimezone(NEW_YORK):%H:%M}") for at in dict.fromkeys((first, last))]
    at = first.astimezone(NEW_YORK).replace(minute=0, second=0, microsecond=0)
    found = []
    while at <= last:
        if at >= first and at.hour % hours == 0:
            found.append((at, f"{at:%b} {at.day}" if at.hour == 0 else f"{at:%H:%M}"))
        at += timedelta(hours=1)
    return found


def _days(first: datetime, last: datetime, every: int) -> list[datetime]:
    at = datetime.combine(first.astimezone(NEW_YORK).date(), time(), NEW_YORK)
    at = at if at >= first else at + timedelta(days=1)
    found = []
    while at <= last:
        found.append(at)
        at += timedelta(days=every)
    return found


def _months(first: datetime, last: datetime, every: int) -> list[datetime]:
    local = first.astimezone(NEW_YORK)
    month = local.year * 12 + local.month
    found = []
    while (at := datetime(month // 12, month % 12 + 1, 1, tzinfo=NEW_YORK)) <= last:
        found.append(at)
        month += every
    return found
