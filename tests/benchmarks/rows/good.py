"""One figure that meets its goal, and one that is no ratio."""

from benchmarks.rows import Figure, Scale, run_alone


def measure(scale: Scale) -> list[Figure]:
    return [
        Figure(
            row="good",
            what=f"as {scale.name} measures",
            value=1.5,
            unit="s",
            goal=2.0,
            bound=1.0,
            bound_what="something simple",
            note="a note",
        ),
        Figure(row="good", what="requests", value=7, unit="calls", goal=8),
    ]


if __name__ == "__main__":
    run_alone(measure)
