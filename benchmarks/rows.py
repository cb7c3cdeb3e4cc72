"""What a row of the benchmark is made of: how much it is to measure, and what it has found.

A row is a module `benchmarks/<row>.py` with `measure(scale: Scale) -> list[Figure]` that ends with

    if __name__ == "__main__":
        run_alone(measure)

which makes it a program that measures just this row. `python -m benchmarks` runs each in a process of its own. Where
it measures on PostgreSQL, `benchmarks.databases.new_database` gives a row new databases there.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Scale:
    """How much a row measures. What a row needs beside these it picks by `is_quick`."""

    name: str
    #: Orders, each with its fill, of the large history; and of the small one that it is compared with.
    orders: int
    few_orders: int
    #: Positions of the large books, and of the small ones.
    positions: int
    few_positions: int
    #: How often a thing is measured whose median counts.
    repetitions: int
    #: How long a thing is measured that goes on and on.
    seconds: float

    @property
    def is_quick(self) -> bool:
        return self.name != "full"


FULL = Scale("full", 100_000, 1_000, 1_000, 10, repetitions=15, seconds=30.0)
#: To see whether it works. What is compared with the goals is FULL.
QUICK = Scale("quick", 2_000, 200, 100, 10, repetitions=2, seconds=1.5)
SCALES = {scale.name: scale for scale in (FULL, QUICK)}


@dataclass(frozen=True)
class Figure:
    """One line of the table. With a bound the goal is about value ÷ bound, without one about the value."""

    #: The row as the issue of this suite calls it: "steady run". A row may have several figures.
    row: str
    #: What was measured: "a run with 100,000 orders in history, 10 new".
    what: str
    value: float
    unit: str
    #: What it must not exceed, or must reach where `is_least`.
    goal: float
    #: What the value is held against, measured in the same run, and what that is.
    bound: float | None = None
    bound_unit: str = ""
    bound_what: str = ""
    is_least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.bound is None else self.value / self.bound if self.bound else float("inf")

    @property
    def compared(self) -> float:
        return self.value if self.ratio is None else self.ratio

    @property
    def is_met(self) -> bool:
        return self.compared >= self.goal if self.is_least else self.compared <= self.goal

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "is_met": self.is_met}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Figure":
        return cls(**{name: value for name, value in data.items() if name not in {"ratio", "is_met"}})


def say(text: str) -> None:
    """Tell whoever waits how far it is; the figures alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


def run_alone(measure: Callable[[Scale], list[Figure]]) -> None:
    """Be the program of one row: print its table, or write its figures as JSON to a file. Ends the process."""
    from benchmarks.table import table

    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="Measure little, to see whether it works.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write the figures there instead of printing them.")
    options = parser.parse_args()
    # Whoever ends it early lets `with` and `finally` end what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    figures = measure(QUICK if options.quick else FULL)
    if options.json:
        options.json.write_text(json.dumps([figure.as_json() for figure in figures]))
    else:
        print(table(figures))
    sys.exit(0 if all(figure.is_met for figure in figures) else 1)
