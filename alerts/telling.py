"""When is an open alert told again? Only when it got worse. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from alerts.conditions import Condition
from alerts.kinds import RANK
from reconciliation.kinds import Severity


class Purpose(StrEnum):
    NEW = "new"
    WORSE = "worse"
    RESOLVED = "resolved"
    SUMMARY = "summary"
    REPORT = "report"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Told:
    """What people have heard of an alert; severity "" while nobody has."""

    severity: str = ""
    number: int = 0
    things: frozenset[str] = frozenset()


def purpose_of(condition: Condition, told: Told) -> Purpose | None:
    """Return why it should be told now; None while people have heard as much as there is to hear."""
    if not told.severity:
        return Purpose.NEW
    if RANK[condition.severity] > RANK[Severity(told.severity)]:
        return Purpose.WORSE
    untold = len(condition.things - told.things)
    if untold and untold >= step(condition.severity, told.things & condition.things):
        return Purpose.WORSE
    if not condition.things and condition.number >= 2 * max(told.number, 1):
        return Purpose.WORSE
    return None


def step(severity: str, told: Collection[str]) -> int:
    """By how many more it gets worse: each one where money is at risk, else half as many again as were told.

    `told` are those that are still there: what was told and is over is no reason to be silent about something new.
    """
    return 1 if severity == Severity.CRITICAL else max(1, len(told) // 2)
