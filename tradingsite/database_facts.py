"""What the database is, how large, and how it writes."""

from dataclasses import dataclass
from pathlib import Path

from django.db import connection


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    engine: str
    place: str
    size: int | None
    log_size: int | None  # SQLite's write-ahead log
    journal_mode: str


def database_facts() -> DatabaseFacts:
    if connection.vendor == "sqlite":
        return _sqlite()
    with connection.cursor() as cursor:
        cursor.execute("SELECT version(), pg_database_size(current_database())")
        version, size = cursor.fetchone()
    name = str(connection.settings_dict["NAME"])
    return DatabaseFacts(str(version).split(" on ")[0], name, int(size), None, "")


def _sqlite() -> DatabaseFacts:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()")
        version = cursor.fetchone()[0]
        cursor.execute("PRAGMA journal_mode")
        journal_mode = cursor.fetchone()[0]
    path = str(connection.settings_dict["NAME"])
    return DatabaseFacts(f"SQLite {version}", path, _size(path), _size(f"{path}-wal"), str(journal_mode))


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None  # in memory, or no log at the moment
