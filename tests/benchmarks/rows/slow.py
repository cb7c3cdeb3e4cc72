"""One figure that misses its goal, which is to be reached."""

from benchmarks.rows import Figure, Scale, run_alone


def measure(_scale: Scale) -> list[Figure]:
    return [Figure(row="slow", what="writes", value=3, unit="writes/s", goal=0.7, bound=10, is_least=True)]


if __name__ == "__main__":
    run_alone(measure)
