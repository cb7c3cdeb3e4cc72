"""One id for all that follows from one act, from the click to the fill: in rows, in the journal and in every log line.

A request begins with a new one. What is recorded in it keeps the id in its row; whoever goes on with that row later,
in another process or thread, carries it again. A thread begins with none.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LONGEST = 64
_current: ContextVar[str] = ContextVar("correlation_id", default="")
_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}", re.ASCII)


def current() -> str:
    """Return the id under which this thread works right now; empty if none."""
    return _current.get()


def new_id() -> str:
    return uuid.uuid4().hex


def current_or_new() -> str:
    return current() or new_id()


def is_well_formed(text: str) -> bool:
    """True for what a proxy may give us as an id: it comes into logs and pages."""
    return _FORM.fullmatch(text) is not None


@contextmanager
def carrying(correlation_id: str) -> Iterator[str]:
    """Work under this id; under the one that is there if it is empty, as in rows from before there were any."""
    token = _current.set(correlation_id or current())
    try:
        yield current()
    finally:
        _current.reset(token)
