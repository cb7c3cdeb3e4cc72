"""Measure every row against its bound and print one table: python -m benchmarks, or make bench.

Progress goes to stderr. Exit status 0: every goal is met; 1: one is missed, or a row failed; 2: bad input.
docs/performance.md says what each row measures, and what its physical limit is.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.databases import migrate
from benchmarks.picture import picture
from benchmarks.rows import FULL, QUICK, Figure, Scale
from benchmarks.running import ROWS, Outcome, run_rows
from benchmarks.table import markdown, table


def main(arguments: Sequence[str] | None = None, *, rows: tuple[str, ...] = ROWS, package: str = "benchmarks") -> int:
    options = _options(arguments, rows)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scale = QUICK if options.quick else FULL
    chosen = tuple(row for row in rows if not options.only or row in options.only)
    outcomes: list[Outcome] = []
    try:
        with _server(options.postgresql) as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
            is_sqlite = not server and package == "benchmarks"
            migrated = str(migrate(Path(folder))) if is_sqlite else ""
            for outcome in run_rows(chosen, scale, server=server, migrated=migrated, package=package):
                outcomes.append(outcome)
    except KeyboardInterrupt:
        print("Stopped; this is what was measured until then.", file=sys.stderr)
        _show(outcomes, scale, options)
        return 130
    _show(outcomes, scale, options)
    is_good = all(not outcome.failure and all(f.is_met for f in outcome.figures) for outcome in outcomes)
    return 0 if is_good else 1


def _options(arguments: Sequence[str] | None, rows: tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure every row against its bound.")
    parser.add_argument("--quick", action="store_true", help="Small sizes, to see whether it works.")
    parser.add_argument("--only", action="append", choices=rows, metavar="ROW", help=f"One of: {', '.join(rows)}.")
    parser.add_argument("--postgresql", action="store_true", help="Keep the rows in a PostgreSQL server of its own.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write the figures there, too.")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="Draw them there, too, as SVG.")
    parser.add_argument("--markdown", action="store_true", help="Print the table as Markdown.")
    options = parser.parse_args(arguments)
    for file in (options.json, options.picture):
        if file is not None and not (file.parent.is_dir() and os.access(file.parent, os.W_OK) and not file.is_dir()):
            parser.error(f"{file} cannot be written.")  # ends with status 2
    return options


@contextmanager
def _server(is_wanted: bool) -> Iterator[str]:  # noqa: FBT001
    """The address of a PostgreSQL that keeps what it is told through a power cut, as a real one would."""
    if not is_wanted:
        yield ""
        return
    import pytest

    from tests.tradingsite.stores import postgresql

    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        try:
            with postgresql(Path(folder) / "server", is_durable=True) as address:
                yield address
        except pytest.skip.Exception as reason:
            print(reason, file=sys.stderr)
            sys.exit(2)


def _show(outcomes: list[Outcome], scale: Scale, options: argparse.Namespace) -> None:
    figures = [figure for outcome in outcomes for figure in outcome.figures]
    print(markdown(figures) if options.markdown else table(figures))
    for outcome in outcomes:
        if outcome.failure:
            print(f"{outcome.row.replace('_', ' ')}  FAILED: {outcome.failure}")
    store = "PostgreSQL" if options.postgresql else "SQLite"
    if options.json:
        options.json.write_text(json.dumps(_document(outcomes, figures, scale, store), indent=2) + "\n")
    if options.picture:
        title = f"make bench, {scale.name} size, {store}"
        options.picture.write_text(picture(figures, title=title))


def _document(outcomes: list[Outcome], figures: list[Figure], scale: Scale, store: str) -> dict[str, Any]:
    return {
        "scale": scale.name,
        "database": store,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "figures": [figure.as_json() for figure in figures],
        "rows": [
            {"row": outcome.row, "seconds": round(outcome.seconds, 1), "failure": outcome.failure or None}
            for outcome in outcomes
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
