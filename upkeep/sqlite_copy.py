"""Copy a SQLite database that is in use, out of its file and into it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from django.db import connection

from upkeep.errors import UpkeepError


def dump(path: Path) -> dict[str, int]:
    """Write a copy as of one moment, check it, and return how many rows each table has.

    VACUUM INTO reads in one transaction, which in WAL mode holds up no writer; the backup interface would begin
    anew with every write that comes between two steps.
    """
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as copy:
        _check(copy)
        return _rows(copy)


def load(path: Path, changes: Sequence[str]) -> None:
    """Replace everything in the database by the changed copy, in one transaction: readers see the one or the other.

    Into the file, never in its place: a process that has it open would go on writing to the old one.
    """
    connection.ensure_connection()
    with closing(sqlite3.connect(path)) as copy:
        _check(copy)
        with copy:
            for statement in changes:
                copy.execute(statement)
        copy.backup(connection.connection)
    connection.close()


def rows() -> dict[str, int]:
    connection.ensure_connection()
    return _rows(connection.connection)


def _rows(database: sqlite3.Connection) -> dict[str, int]:
    names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {
        name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608  # names of our own tables
        for (name,) in sorted(names.fetchall())
    }


def _check(database: sqlite3.Connection) -> None:
    (found,) = database.execute("PRAGMA integrity_check").fetchone()
    if found != "ok":
        raise UpkeepError(f"The copy is damaged: {found}. The disk or the database itself may be; check both.")
    if broken := database.execute("PRAGMA foreign_key_check").fetchone():
        raise UpkeepError(f"The copy is not whole: a row of {broken[0]} points to one of {broken[2]} that is missing.")
