"""The rows "batch of 100" and "seven orders", at one worker: python -m benchmarks.sending"""

from benchmarks import batch_of_100, seven_orders
from benchmarks.batches import desk
from benchmarks.rows import Figure, Scale, run_alone


def measure(scale: Scale) -> list[Figure]:
    with desk(scale) as at_work:
        return [batch_of_100.figure(scale, at_work), seven_orders.figure(scale, at_work)]


if __name__ == "__main__":
    run_alone(measure)
