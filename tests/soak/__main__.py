"""`python -m tests.soak --seed 4711 --days 3` tells one story; `--minutes 10` tells new ones for so long.

Exit status 1 when a promise was broken; the shortened story is then printed and kept in DATA_DIR/soak-SEED.txt.
"""

from tests.soak import virtual

virtual.install()  # before anything else of Django is imported

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from time import perf_counter  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

import django  # noqa: E402

if TYPE_CHECKING:
    from tests.soak.story import Teller


def main() -> int:
    options = _options()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    kept_in = Path(os.environ.get("DATA_DIR", "var"))
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        os.environ["DATA_DIR"] = folder
        teller = _teller(Path(folder))
        return _Run(teller, options, kept_in).all()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, help="the first seed (default: drawn from the host's clock)")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds from there")
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--minutes", type=float, help="tell new stories for so long")
    parser.add_argument("--without", default="", help="acts to leave out, separated by commas")
    parser.add_argument("--steps", default="", help="only these steps of the story, separated by commas")
    parser.add_argument("--tell", action="store_true", help="print the story even if it ends well")
    parser.add_argument("--twice", action="store_true", help="tell each story twice: it must be the same")
    parser.add_argument("--no-shorten", action="store_true")
    parser.add_argument("--keep-going", action="store_true", help="go on after a finding")
    return parser.parse_args()


def _teller(folder: Path) -> "Teller":
    from tests.soak.process import Process, rewire, rewire_loaded

    process = Process()
    rewire(process)
    django.setup()
    rewire_loaded(process)
    from tests.soak.exchange import Wire
    from tests.soak.story import Teller
    from tests.soak.world import make_template

    return Teller(folder=folder, template=make_template(folder), wire=Wire(), process=process)


class _Run:
    def __init__(self, teller: "Teller", options: argparse.Namespace, kept_in: Path) -> None:
        self._teller, self._options, self._kept_in = teller, options, kept_in
        self.stories = self.steps = self.findings = 0

    def all(self) -> int:
        options, began = self._options, perf_counter()
        seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "big") % 10**7
        last = seed + options.seeds
        while (perf_counter() - began < options.minutes * 60) if options.minutes else seed < last:
            self._one(seed)
            if self.findings and not options.keep_going:
                break
            seed += 1
        took = perf_counter() - began
        _say(
            f"{self.stories} stories, {self.stories * options.days} days, {self.steps} steps, "
            f"{self.findings} findings in {took:.0f} s; next seed {seed}"
        )
        return 1 if self.findings else 0

    def _one(self, seed: int) -> None:
        from tests.soak.story import draw, shorten

        options, without = self._options, [name for name in self._options.without.split(",") if name]
        steps = draw(seed, options.days, without=without)
        if options.steps:
            wanted = {int(number) for number in options.steps.split(",")}
            steps = [step for step in steps if step.number in wanted]
        began = perf_counter()
        told = self._teller.tell(seed, steps)
        if options.twice and not told.finding:
            again = self._teller.tell(seed, steps)
            changed = [f"{a} ≠ {b}" for a, b in zip(told.lines, again.lines, strict=True) if a != b]
            told.finding = again.finding or (f"The same seed told another story: {changed[0]}" if changed else "")
        self.stories, self.steps = self.stories + 1, self.steps + len(steps)
        if options.tell:
            _say("\n".join(told.lines))
        if not told.finding:
            took = f"{perf_counter() - began:.1f} s"
            _say(f"seed {seed}: {options.days} days, {len(steps)} steps, all promises kept, {took}")
            return
        self.findings += 1
        _say(f"seed {seed}: {told.finding}")
        if not options.no_shorten:
            steps = shorten(self._teller, seed, steps, told.finding, _say)
            told = self._teller.tell(seed, steps)
        numbers = ",".join(str(step.number) for step in steps)
        command = f"python -m tests.soak --seed {seed} --days {options.days} --steps {numbers}"
        command += f" --without {options.without}" if options.without else ""
        story = "\n".join([f"Seed {seed}: {told.finding}", *told.lines, f"Replay: {command}"])
        self._kept_in.mkdir(parents=True, exist_ok=True)
        (self._kept_in / f"soak-{seed}.txt").write_text(story + "\n")
        _say(story)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set is part of the story
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, "-m", "tests.soak", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"}
        )
    sys.exit(main())
