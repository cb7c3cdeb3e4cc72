"""A row that leaves a file behind and fails."""

import tempfile

from benchmarks.rows import Figure, Scale, run_alone, say


def measure(_scale: Scale) -> list[Figure]:
    say(f"left {tempfile.mkdtemp()}")
    raise RuntimeError("the venue is gone")


if __name__ == "__main__":
    run_alone(measure)
