"""Seven orders through the real worker, at 50 ms an answer: python -m benchmarks.seven_orders

From the release in the database to the last confirmation in it, against the slowest of seven submits by alpaca-py
alone, one after the other on one connection, in the same run.
"""

import time
from statistics import median

from benchmarks.batches import LATENCY_MS, Desk, desk
from benchmarks.history import SYMBOLS
from benchmarks.installation import KEY
from benchmarks.rows import Figure, Scale, run_alone, say

ORDERS = 7
GOAL = 3.0


def slowest_submit(at_work: Desk, number: int) -> float:
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import MarketOrderRequest

    client = TradingClient(KEY, "sim", url_override=at_work.url)
    client.get_clock()  # connects
    taken = []
    for symbol in SYMBOLS[:ORDERS]:
        request = MarketOrderRequest(
            symbol=symbol,
            qty=1,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            client_order_id=f"alone-{number}-{symbol}",
        )
        start = time.perf_counter()
        client.submit_order(request)
        taken.append(time.perf_counter() - start)
    return max(taken)


def figure(scale: Scale, at_work: Desk) -> Figure:
    ours, alone = [], []
    for number in range(scale.repetitions):
        ours.append(at_work.seconds_to_confirm(ORDERS))
        alone.append(slowest_submit(at_work, number))
        say(f"{number + 1}: {ours[-1] * 1000:.0f} ms, alone {alone[-1] * 1000:.0f} ms")
    return Figure(
        row="seven orders",
        what=f"release to all {ORDERS} confirmed, at {LATENCY_MS:.0f} ms an answer",
        value=median(ours) * 1000,
        unit="ms",
        goal=GOAL,
        bound=median(alone) * 1000,
        bound_what="the slowest of seven single submits by alpaca-py",
    )


def measure(scale: Scale) -> list[Figure]:
    with desk(scale) as at_work:
        return [figure(scale, at_work)]


if __name__ == "__main__":
    run_alone(measure)
