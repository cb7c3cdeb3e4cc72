"""Databases of a row's own: SQLite files in its folder, or new ones on the PostgreSQL server of DATABASE_URL."""

import os
import shutil
import subprocess
import sys
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
SERVER, MIGRATED = "BENCHMARK_SERVER", "BENCHMARK_MIGRATED"


def server() -> str:
    """The address of the server to measure on; empty where it is SQLite."""
    return os.environ.get(SERVER, "")


@contextmanager
def new_database(folder: Path, name: str = "db") -> Iterator[str]:
    """Yield the DATABASE_URL of a database without rows, and remove it. A file goes with its folder."""
    if not server():
        file = folder / f"{name}.sqlite3"
        begin(file)
        yield f"sqlite:///{file}"
        return
    own = f"{name}_{uuid.uuid4().hex[:12]}"
    _do("CREATE DATABASE {}", own)
    try:
        yield urlsplit(server())._replace(path=f"/{own}").geturl()
    finally:
        _do("DROP DATABASE IF EXISTS {} WITH (FORCE)", own)


def ensure_database(folder: Path, name: str) -> str:
    """Return what Django calls NAME: a file in the folder, or a database for this folder that goes with its server."""
    if not server():
        begin(folder / f"{name}.sqlite3")
        return str(folder / f"{name}.sqlite3")
    import psycopg

    own = f"{name}_{zlib.crc32(str(folder).encode()):08x}"
    with suppress(psycopg.errors.DuplicateDatabase):  # of another process with this folder
        _do("CREATE DATABASE {}", own)
    return own


def begin(file: Path) -> None:
    """Let a new file begin as a copy of the migrated one, where there is one: all rows together migrate once."""
    migrated = os.environ.get(MIGRATED)
    if migrated and not file.exists():
        shutil.copyfile(migrated, file)


def is_migrated() -> bool:
    """Whether what `new_database` yields begins as a copy of the migrated file."""
    return not server() and bool(os.environ.get(MIGRATED))


def migrate(folder: Path) -> Path:
    """Make the file that others begin with. It is closed, so that nothing of it stands in a write-ahead log."""
    environment = os.environ | {"DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{folder / 'migrated.sqlite3'}"}
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "-v", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return folder / "migrated.sqlite3"


def _do(statement: LiteralString, name: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(server(), autocommit=True) as asked:
        asked.execute(sql.SQL(statement).format(sql.Identifier(name)))
