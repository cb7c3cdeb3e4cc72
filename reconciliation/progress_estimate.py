"""How much is left of long work, as far as the last time tells. Alpaca never says how long its lists are."""

from collections.abc import Mapping
from dataclasses import dataclass

from ui.formatting import span


@dataclass(frozen=True, slots=True)
class Estimate:
    """`expected_rows` and `seconds_left` are None where nothing can be said."""

    rows: int
    expected_rows: int | None
    seconds_left: int | None
    is_late: bool = False

    @property
    def words(self) -> str:
        rows = f"{self.rows:,} rows so far"
        if self.expected_rows is not None:
            rows = f"{self.rows:,} of about {self.expected_rows:,} rows"
        return f"{rows}; {left_words(self.seconds_left, is_late=self.is_late)}"


def left_words(seconds_left: int | None, *, is_late: bool) -> str:
    if seconds_left is not None:
        return f"about {span(seconds_left)} left"
    why = "it takes longer than the last time" if is_late else "there is no earlier time to go by"
    return f"the time left cannot be estimated: {why}"


def estimate_run(
    read: Mapping[str, object], *, expected: Mapping[str, int], took: float | None, elapsed: float
) -> Estimate:
    """Judge a run by the last complete one of its sort.

    `read`: rows by list, of a reading under way; `expected`: rows by list of the last one; `took`: its seconds.
    """
    rows = {name: count for name, count in read.items() if isinstance(count, int)}
    beyond = any(rows.get(name, 0) > count for name, count in expected.items()) or rows.keys() - expected.keys()
    total = None if not expected or beyond else sum(expected.values())
    return Estimate(sum(rows.values()), total, seconds_left(took, elapsed), is_late(took, elapsed))


def seconds_left(took: float | None, elapsed: float) -> int | None:
    """Return what the last time leaves; None without a last time, and when it is exceeded."""
    if took is None or is_late(took, elapsed):
        return None
    return max(1, round(took - elapsed))


def is_late(took: float | None, elapsed: float) -> bool:
    return took is not None and elapsed >= took
