"""Tasks for the tests' real clusters: they leave their mark in a file that the test can read."""

import os
import time
from pathlib import Path


def leave_mark(path: str) -> None:
    with Path(path).open("a") as marks:
        marks.write(f"{os.getpid()}\n")


def leave_mark_slowly(path: str) -> None:
    leave_mark(path)
    time.sleep(0.1)


def work_long_once(path: str) -> None:
    """Take a minute at the first try; whoever is given it again is done at once."""
    is_first = not Path(path).exists()
    leave_mark(path)
    if is_first:
        time.sleep(60)
