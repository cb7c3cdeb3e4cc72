"""A hundred orders through the real worker, at 50 ms an answer: python -m benchmarks.batch_of_100

From the release in the database to the last confirmation in it. The bound is what the venue's answers alone take, with
as many orders in flight as the installation allows.
"""

from statistics import median

from benchmarks.batches import LATENCY_MS, Desk, desk
from benchmarks.rows import Figure, Scale, run_alone, say

ORDERS = 100
GOAL = 1.5


def figure(scale: Scale, at_work: Desk) -> Figure:
    from django.conf import settings

    in_flight, taken = settings.ORDERS_IN_FLIGHT, []
    for number in range(1 if scale.is_quick else 7):
        taken.append(at_work.seconds_to_confirm(ORDERS))
        say(f"batch {number + 1}: {taken[-1]:.2f} s")
    return Figure(
        row="batch of 100",
        what=f"release to all {ORDERS} confirmed, at {LATENCY_MS:.0f} ms an answer",
        value=median(taken),
        unit="s",
        goal=GOAL,
        bound=LATENCY_MS / 1000 * ORDERS / in_flight,
        bound_what=f"{LATENCY_MS:.0f} ms × {ORDERS} ÷ {in_flight} in flight",
    )


def measure(scale: Scale) -> list[Figure]:
    with desk(scale) as at_work:
        return [figure(scale, at_work)]


if __name__ == "__main__":
    run_alone(measure)
