"""The fold over fills against a plain loop that keeps quantity and average cost: python -m benchmarks.fold

Both take the same fills, as they come from the database, in turn. It is arithmetic alone: processor time is compared,
the least of each, which is what the rest of the machine has not disturbed.
"""

import gc
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from benchmarks.rows import Figure, Scale, run_alone
from positions.accounting import LedgerEntry, fold

GOAL = 0.8


def fills(count: int) -> list[LedgerEntry]:
    """Orders of one symbol that fill in five executions each: built up, cut down in between, and sold off or turned.

    A round trip takes forty fills; every other one ends in a sale of more than there is, which opens a short.
    """
    first = datetime(2026, 1, 5, 15, tzinfo=UTC)
    trip = [10] * 15 + [-7] * 5 + [5] * 5 + [-28, *[-7] * 9] + [-6, -6, -6, -9, -32]
    turned = [-value for value in trip]
    quantities = [*trip, *turned]
    return [
        LedgerEntry(
            at=first + timedelta(seconds=number),
            order_key=f"2026010510000000{number:09d}::7c1e5c2e",
            qty=Decimal(quantities[number % len(quantities)]),
            price=Decimal(10_000 + number * 37 % 900).scaleb(-2),
        )
        for number in range(count)
    ]


def plain_loop(entries: Sequence[LedgerEntry]) -> tuple[Decimal, Decimal, Decimal]:
    """What a script would do: quantity, average cost and realised profit, one fill after the other."""
    qty = average = profit = Decimal(0)
    for entry in entries:
        left = qty + entry.qty
        if qty == 0 or (qty > 0) == (entry.qty > 0):
            average = (qty * average + entry.qty * entry.price) / left
        else:
            leaving = entry.qty if abs(entry.qty) <= abs(qty) else -qty
            profit += -leaving * (entry.price - average)
            if (left > 0) != (qty > 0):
                average = entry.price if left else Decimal(0)
        qty = left
    return qty, average, profit


def measure(scale: Scale) -> list[Figure]:
    entries = fills(scale.orders)
    taken: dict[str, list[float]] = {"fold": [], "loop": []}
    ways: dict[str, Callable[[], object]] = {"fold": lambda: fold(entries), "loop": lambda: plain_loop(entries)}
    for _ in range(scale.repetitions):
        for name, way in ways.items():
            gc.collect()
            start = time.process_time()
            way()
            taken[name].append(time.process_time() - start)
    each = {name: scale.orders / min(seconds) / 1000 for name, seconds in taken.items()}
    return [
        Figure(
            row="fold",
            what=f"{scale.orders:,} fills of one symbol",
            value=each["fold"],
            unit="thousand fills/s",
            goal=GOAL,
            bound=each["loop"],
            bound_what="a plain loop over Decimals that keeps quantity, average cost and profit",
            is_least=True,
        )
    ]


if __name__ == "__main__":
    run_alone(measure)
