"""A run with a long history and with a short one, ten new orders each, in turn: python -m benchmarks.steady_run"""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks import reconciling
from benchmarks.history import Trader, history, venue
from benchmarks.reconciling import LIMIT, MOST_CALLS, NEW, Side, prepare
from benchmarks.rows import Figure, Scale, run_alone, say
from benchmarks.sizes import LARGE, SMALL

DAYS = 250.0


def measure(scale: Scale) -> list[Figure]:
    from django.conf import settings

    settings.QUIET_PERIOD_SECONDS = 0
    ending = datetime.now(UTC) - timedelta(minutes=10)
    sizes = {SMALL: scale.few_orders, LARGE: scale.orders}
    histories = {alias: history(count, days=DAYS, ending=ending) for alias, count in sizes.items()}
    with tempfile.TemporaryDirectory() as folder, venue(Path(folder), histories) as url:
        settings.ALPACA_BASE_URL = url
        sides = [Side(alias, Trader(url, alias), [], [], [], set()) for alias in sizes]
        prepare(sides)
        for number in range(scale.repetitions + 1):
            for side in sides:
                reconciling.measure(side, [f"new-{number}-{n}" for n in range(NEW)], is_external=False)
                if number == 0:  # the first one fills caches
                    side.seconds.clear()
            say(f"run {number} of {scale.repetitions}")
    return figures(scale, *sides)


def figures(scale: Scale, small: Side, large: Side) -> list[Figure]:
    row = "steady run"
    return [
        Figure(
            row=row,
            what=f"a run, {scale.orders:,} orders in history and {NEW} new",
            value=median(large.seconds) * 1000,
            unit="ms",
            goal=LIMIT,
            bound=median(small.seconds) * 1000,
            bound_what=f"the same with {scale.few_orders:,} in history",
            note=f"{max(large.queries)} queries and {max(small.queries)}",
        ),
        Figure(row=row, what="requests to Alpaca of each run", value=max(large.calls), unit="calls", goal=MOST_CALLS),
    ]


if __name__ == "__main__":
    run_alone(measure)
