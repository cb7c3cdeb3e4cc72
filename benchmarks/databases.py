"""Databases of a row's own: SQLite files in its folder, or new ones on the PostgreSQL server of DATABASE_URL."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    import psycopg
    from psycopg import sql

    own = f"{name}_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server(), autocommit=True) as asked:
        asked.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own)))
    try:
        yield urlsplit(server())._replace(path=f"/{own}").geturl()
    finally:
        with psycopg.connect(server(), autocommit=True) as asked:
            asked.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(own)))
