"""Databases of a row's own: SQLite files in its folder, or new ones on the PostgreSQL server of DATABASE_URL."""

import os
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

SERVER = "BENCHMARK_SERVER"


def server() -> str:
    """The address of the server to measure on; empty where it is SQLite."""
    return os.environ.get(SERVER, "")


@contextmanager
def new_database(folder: Path, name: str = "db") -> Iterator[str]:
    """Yield the DATABASE_URL of an empty database, and remove it. A file goes with its folder."""
    if not server():
        yield f"sqlite:///{folder / name}.sqlite3"
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
        return str(folder / f"{name}.sqlite3")
    import psycopg

    own = f"{name}_{zlib.crc32(str(folder).encode()):08x}"
    with suppress(psycopg.errors.DuplicateDatabase):  # of another process with this folder
        _do("CREATE DATABASE {}", own)
    return own


def _do(statement: LiteralString, name: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(server(), autocommit=True) as asked:
        asked.execute(sql.SQL(statement).format(sql.Identifier(name)))
