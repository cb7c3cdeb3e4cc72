"""The rows "cold run" and "memory of the cold run": python -m benchmarks.cold_run

An account with a long history is imported into empty books and reconciled, in a fresh process. The bound is measured
in turn with it, against the same venue: a process that fetches the same pages with alpaca-py and parses them. What it
needs in memory is held against a fresh process that has only started what a worker starts, and against the import
of a tenth of the history.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

from benchmarks.databases import is_migrated, new_database
from benchmarks.history import ROOT, history, venue
from benchmarks.rows import Figure, Scale, run_alone, say

ROW, MEMORY_ROW = "cold run", "memory of the cold run"
MOST_TIMES, MOST_MIB, FLAT = 2.0, 150.0, 1.2
DAYS = 250.0
TIMES = 3
MIB = 1024 * 1024


def measure(scale: Scale) -> list[Figure]:
    many, few = scale.orders, scale.orders // 10
    ending = datetime.now(UTC) - timedelta(minutes=10)
    histories = {str(orders): history(orders, days=DAYS, ending=ending) for orders in (many, few)}
    with tempfile.TemporaryDirectory() as name, venue(Path(name), histories) as url:
        say(f"the venue has {many:,} and {few:,} orders")
        short = _Side(Path(name), url, few)
        short_peak = short.first_run()["above_idle"]
        side = _Side(Path(name), url, many)
        turns = [(side.fetch(), side.first_run()) for _ in range(1 if scale.is_quick else TIMES)]
    bounds, runs = zip(*turns, strict=True)
    bound, run = _middle(bounds), _middle(runs)
    peak = max(found["above_idle"] for found in runs)
    return [
        Figure(
            ROW,
            f"first import and reconciliation, {many:,} orders and fills",
            run["seconds"],
            "s",
            MOST_TIMES,
            bound=bound["seconds"],
            bound_what="fetching the same pages with alpaca-py, raw, and parsing them",
            note=f"{run['calls']:,} calls; at Alpaca's own 200 requests a minute either takes "
            f"{run['calls'] / 200:.0f} minutes",
        ),
        Figure(MEMORY_ROW, f"highest memory above an idle worker, {many:,} orders", peak, "MiB", MOST_MIB),
        Figure(
            MEMORY_ROW,
            f"the same, {many:,} orders",
            peak,
            "MiB",
            FLAT,
            bound=short_peak,
            bound_what=f"{few:,} orders",
        ),
    ]


def _middle(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return sorted(found, key=itemgetter("seconds"))[len(found) // 2]


class _Side:
    """One account at the venue, and the processes that read it."""

    def __init__(self, folder: Path, url: str, orders: int) -> None:
        self.folder = folder / str(orders)
        self.folder.mkdir()
        self.orders = orders
        self._runs = 0
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "tradingsite.settings",
            "DATA_DIR": str(self.folder),
            "ALPACA_ENV": "sim",
            "ALPACA_BASE_URL": url,
            "ALPACA_API_KEY": str(orders),
            "ALPACA_SECRET_KEY": "sim",
        }

    def fetch(self) -> dict[str, Any]:
        found = self._part("fetch")
        self._check(found)
        say(f"fetching {self.orders:,} orders and their fills: {found['seconds']:.1f} s")
        return found

    def first_run(self) -> dict[str, Any]:
        """Return what it took: seconds, and MiB above a worker that has nothing to do."""
        self._runs += 1
        with new_database(self.folder, f"db{self._runs}") as address:
            self.environment["DATABASE_URL"] = address
            if not is_migrated():
                self._part("prepare")
            idle = self._part("idle")["peak_bytes"]
            found = self._part("first")
        self._check(found)
        found["above_idle"] = (found["peak_bytes"] - idle) / MIB
        took = f"{found['seconds']:.1f} s, {found['above_idle']:.0f} MiB above {idle / MIB:.0f} MiB"
        say(f"first run of {self.orders:,} orders: {took}")
        return found

    def _check(self, found: dict[str, Any]) -> None:
        if (found["orders"], found["activities"]) != (self.orders, self.orders):
            sys.exit(f"{found['orders']} orders and {found['activities']} fills were read, not {self.orders} of each")

    def _part(self, name: str) -> dict[str, Any]:
        answer = self.folder / f"{name}.json"
        command = [sys.executable, "-m", "benchmarks.cold_run_parts", name, str(answer)]
        subprocess.run(command, cwd=ROOT, env=os.environ | self.environment, check=True)
        found: dict[str, Any] = json.loads(answer.read_text())
        return found


if __name__ == "__main__":
    run_alone(measure)
