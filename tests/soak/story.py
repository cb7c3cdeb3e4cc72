"""A story: the acts of some days, drawn from one seed, told, checked, and shortened when it ends badly."""

import gc
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import tests.soak.people_acts
import tests.soak.stream_acts
import tests.soak.venue_acts  # noqa: F401  # each adds its acts
from alpacasim.times import NEW_YORK
from tests.reconciliation.steps import books
from tests.soak import promises
from tests.soak.acts import ACTS
from tests.soak.exchange import Wire
from tests.soak.process import Process
from tests.soak.virtual import TIME
from tests.soak.world import Finding, World, new_world

ACTS_A_DAY = 30
#: So many shorter stories are tried at most to find a minimal one.
MOST_TRIALS = 150


@dataclass(frozen=True, slots=True)
class Step:
    day: int
    number: int
    name: str

    def random(self, seed: int) -> Random:
        """The step's own: it does the same when others are left out."""
        return Random(f"{seed} {self.number}")


@dataclass(slots=True)
class Told:
    """What happened, in lines, and how it ended."""

    lines: list[str] = field(default_factory=list)
    finding: str = ""


def draw(seed: int, days: int, *, without: Iterable[str] = ()) -> list[Step]:
    dice = Random(f"story {seed}")
    names = [name for name in ACTS if name not in set(without)]
    weights = [ACTS[name][0] for name in names]
    total = days * ACTS_A_DAY
    return [Step(n // ACTS_A_DAY, n, name) for n, name in enumerate(dice.choices(names, weights, k=total))]


class Teller:
    """Tells stories one after another, each in a new world."""

    def __init__(self, *, folder: Path, template: Path, wire: Wire, process: Process) -> None:
        self._given = {"folder": folder, "template": template, "wire": wire, "process": process}

    def tell(self, seed: int, steps: list[Step]) -> Told:
        told = Told()
        gc.collect()  # here, and nowhere within the story: it would cost a tenth of the time
        gc.disable()
        _name_things_by(f"opening {seed}")
        with new_world(seed=seed, **self._given) as world:  # type: ignore[arg-type]
            try:
                self._open_books(world)
                for day in sorted({step.day for step in steps}):
                    self._live(world, seed, [step for step in steps if step.day == day], told)
                    self._end_day(world, seed, day, told)
            except Finding as finding:
                told.finding = str(finding)
        return told

    def _open_books(self, world: World) -> None:
        """The first read binds the books to the account and finds nothing."""
        run = promises._reconcile(world)
        promises.expect(run.state == "in_sync", f"An empty account is {run.state}: {run.incomplete_reason}")

    def _live(self, world: World, seed: int, steps: list[Step], told: Told) -> None:
        for step in steps:
            _name_things_by(f"names {seed} {step.number}")
            at = f"{step.number:3} {TIME.utc().astimezone(NEW_YORK):%a %H:%M:%S}"
            told.lines.append(f"{at}  {step.name}")
            said = ACTS[step.name][1](world, step.random(seed))
            told.lines[-1] = f"{at}  {said}".rstrip()
            TIME.advance(0.2)

    def _end_day(self, world: World, seed: int, day: int, told: Told) -> None:
        _name_things_by(f"evening {seed} {day}")
        at = f"{TIME.utc().astimezone(NEW_YORK):%a %H:%M:%S}"
        told.lines.append(f"    {at}  everything is well again, the worker finishes, everything is approved")
        promises.heal(world)
        promises.drain(world, TIME.random)
        promises.rebuilding_changes_nothing(world)
        before = books()
        applied = promises.repair(world)
        promises.check(world)
        if applied and not world.has_acted:  # what was done at Alpaca is no copy, and undone by its opposite
            promises.undo_and_redo(world, applied, before)
            promises.check(world)
        _next_morning()


def _name_things_by(words: str) -> None:
    """Ids, waits and latencies of one step are its own, too."""
    TIME.random = Random(words)
    random.seed(words)


def _next_morning() -> None:
    local = TIME.utc().astimezone(NEW_YORK)
    morning = datetime.combine(local.date() + timedelta(days=1), local.time().replace(hour=9, minute=20), NEW_YORK)
    TIME.advance((morning - TIME.utc()).total_seconds())


def shorten(teller: Teller, seed: int, steps: list[Step], finding: str, say: Callable[[str], None]) -> list[Step]:
    """Leave steps out as long as the same goes wrong; what is left is told to people."""
    wanted, trials, size = _gist(finding), 0, max(len(steps) // 2, 1)
    began = time.perf_counter()
    while size >= 1 and trials < MOST_TRIALS and time.perf_counter() - began < 240:
        place, was = 0, len(steps)
        while place < len(steps) and trials < MOST_TRIALS:
            fewer = steps[:place] + steps[place + size :]
            trials += 1
            if fewer and _gist(teller.tell(seed, fewer).finding) == wanted:
                steps = fewer
            else:
                place += size
        if len(steps) == was or size > 1:
            size = size // 2 if size > 1 else 0 if len(steps) == was else 1
    with suppress(ValueError):
        say(f"shortened to {len(steps)} steps in {trials} trials")
    return steps


def _gist(finding: str) -> str:
    """Which promise was broken: the beginning of the sentence, without figures."""
    head = "".join(letter for letter in finding if not letter.isdigit())
    return head[:45]
