"""Which way of copying fits the database in use."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from upkeep import postgresql_copy, sqlite_copy
from upkeep.errors import UpkeepError

_BY_VENDOR: dict[str, ModuleType] = {"sqlite": sqlite_copy, "postgresql": postgresql_copy}


def dump(path: Path) -> dict[str, int]:
    """Write the database to the file, and return how many rows each table has there."""
    found: dict[str, int] = _engine().dump(path)
    return found


def load(path: Path, changes: Sequence[str]) -> None:
    """Replace everything by the copy with these statements carried out on it, in one transaction."""
    _engine().load(path, changes)


def rows() -> dict[str, int]:
    found: dict[str, int] = _engine().rows()
    return found


def applied_migrations() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for app, name in sorted(MigrationRecorder(connection).applied_migrations()):
        found.setdefault(app, []).append(name)
    return found


def _engine() -> ModuleType:
    if connection.vendor not in _BY_VENDOR:
        raise UpkeepError(f"A database of the kind {connection.vendor} cannot be backed up by this command.")
    return _BY_VENDOR[connection.vendor]
