"""What the differences of a period tell: how often, how soon seen, how soon repaired, and by whom. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from broker.times import NEW_YORK

#: More kinds than this in one bar cannot be told apart.
KINDS_IN_CHART = 4
OTHERS = "All others"
WORST_SHOWN = 10


class EndedBy(StrEnum):
    POLICY = "policy"  # repaired: a policy approved the fix
    PERSON = "person"  # repaired: a person approved the fix
    ITSELF = "itself"  # a later run no longer showed it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One cause of difference: when it happened, was first seen, and ended."""

    pk: int
    kind: str
    title: str
    symbol: str
    severity: str
    dollars: Decimal | None
    is_of_evidence: bool  # the read was at fault, not the books
    first_seen_at: datetime
    happened_at: datetime | None  # when Alpaca says that the order or fill happened
    ended_at: datetime | None = None
    ended_by: EndedBy | None = None

    @property
    def detection(self) -> timedelta | None:
        """From the event at Alpaca to the run that showed the difference."""
        if self.happened_at is None or self.happened_at > self.first_seen_at:
            return None
        return self.first_seen_at - self.happened_at

    @property
    def repair(self) -> timedelta | None:
        return None if self.ended_at is None else max(self.ended_at - self.first_seen_at, timedelta(0))

    @property
    def is_open(self) -> bool:
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the ninth tenth of some durations; None of none."""

    count: int
    median: timedelta | None
    p90: timedelta | None

    @property
    def median_seconds(self) -> float | None:
        return None if self.median is None else self.median.total_seconds()

    @property
    def p90_seconds(self) -> float | None:
        return None if self.p90 is None else self.p90.total_seconds()


def spread_of(durations: Iterable[timedelta | None]) -> Spread:
    known = sorted(duration for duration in durations if duration is not None)
    if not known:
        return Spread(0, None, None)
    low, high = known[(len(known) - 1) // 2], known[len(known) // 2]
    middle = low + (high - low) / 2
    # The nearest rank: of few, a ninth tenth between two of them would be made up.
    return Spread(len(known), middle, known[math.ceil(len(known) * 9 / 10) - 1])


# --- By day and kind ------------------------------------------------------------------------------------------


def days_until(today: date, number: int) -> list[date]:
    return [today - timedelta(days=back) for back in reversed(range(number))]


def by_day(sightings: Iterable[Sighting], days: Sequence[date]) -> list[tuple[str, list[int]]]:
    """For the most frequent kinds and all others: how many were first seen on each New York day."""
    found = list(sightings)
    titles = [title for title, _ in _most_frequent(sighting.title for sighting in found)]
    shown = titles[:KINDS_IN_CHART]
    places = {day: place for place, day in enumerate(days)}
    counts: dict[str, list[int]] = {name: [0] * len(days) for name in shown}
    if len(titles) > len(shown):
        counts[OTHERS] = [0] * len(days)
    for sighting in found:
        place = places.get(sighting.first_seen_at.astimezone(NEW_YORK).date())
        if place is not None:
            counts[sighting.title if sighting.title in shown else OTHERS][place] += 1
    return list(counts.items())


def _most_frequent(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0]))


# --- Who ended them -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ends:
    """How the differences in the books ended. Reads that failed are no repairs and not in it."""

    by_policy: int
    by_person: int
    by_itself: int
    still_open: int

    @property
    def repaired(self) -> int:
        return self.by_policy + self.by_person

    @property
    def automatic_share(self) -> Decimal | None:
        """Percent of the repairs that needed no person."""
        return Decimal(self.by_policy * 100) / self.repaired if self.repaired else None


def ends_of(sightings: Iterable[Sighting]) -> Ends:
    counts = Counter(sighting.ended_by for sighting in sightings if not sighting.is_of_evidence)
    return Ends(counts[EndedBy.POLICY], counts[EndedBy.PERSON], counts[EndedBy.ITSELF], counts[None])


# --- By kind, by symbol ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The differences of one kind or of one symbol."""

    name: str
    count: int
    still_open: int
    dollars: Decimal
    detection: Spread
    repair: Spread
    often: str  # the most frequent title among them


def by_kind(sightings: Iterable[Sighting]) -> list[Story]:
    return _stories(sightings, lambda sighting: sighting.title)


def worst_symbols(sightings: Iterable[Sighting], *, most: int = WORST_SHOWN) -> list[Story]:
    """Those with the most differences; of equals those with more dollars."""
    return _stories([sighting for sighting in sightings if sighting.symbol], lambda s: s.symbol)[:most]


def _stories(sightings: Iterable[Sighting], name_of: Callable[[Sighting], str]) -> list[Story]:
    groups: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        groups[name_of(sighting)].append(sighting)
    stories = [_story(name, group) for name, group in groups.items()]
    return sorted(stories, key=lambda story: (-story.count, -story.dollars, story.name))


def _story(name: str, group: Sequence[Sighting]) -> Story:
    return Story(
        name=name,
        count=len(group),
        still_open=sum(sighting.is_open for sighting in group),
        dollars=sum((s.dollars for s in group if s.dollars is not None), Decimal(0)),
        detection=spread_of(sighting.detection for sighting in group),
        repair=spread_of(sighting.repair for sighting in group),
        often=_most_frequent(sighting.title for sighting in group)[0][0],
    )
