"""The databases of a test's own programs: SQLite files, or databases on the PostgreSQL server that is tested on."""

import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from django.db import connection
from psycopg import sql

#: Shares are readers' locks: they keep every writer out, as SQLite's one write lock does. A deadlock ends the others.
_LOCKER = """
import sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
if address.startswith("sqlite"):
    import sqlite3
    connection = sqlite3.connect(address.removeprefix("sqlite:///"), timeout=60, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
else:
    import psycopg
    connection = psycopg.connect(address)
    connection.execute("SET deadlock_timeout = '60s'")
    tables = connection.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'").fetchall()
    connection.execute("LOCK TABLE " + ", ".join(sorted(name for (name,) in tables)) + " IN SHARE MODE")
print("locked", flush=True)
time.sleep(seconds)
connection.execute("COMMIT")
"""


def is_postgresql(address: str) -> bool:
    return address.startswith(("postgres://", "postgresql://"))


#: Whether this test run has its rows there: `python -m tests.on_postgresql`.
IS_ON_POSTGRESQL = is_postgresql(os.environ.get("DATABASE_URL", ""))
#: Why a test is left out there; the run on SQLite has it.
ABOUT_SQLITE = "This is about SQLite, and the rows are in PostgreSQL."


def address_in_use() -> str:
    """The DATABASE_URL of the database that this test's own rows are in."""
    used = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{used['NAME']}"
    login = f"{quote(used['USER'])}:{quote(used['PASSWORD'])}" if used["USER"] else ""
    return f"postgres://{login}@{used['HOST']}:{used['PORT']}/{used['NAME']}"


def new_database(data_dir: Path) -> str:
    """The DATABASE_URL of an empty database: a file in the folder, or a new one on the server of DATABASE_URL."""
    server = os.environ.get("DATABASE_URL", "")
    if not is_postgresql(server):
        return f"sqlite:///{data_dir / 'db.sqlite3'}"
    name = f"own_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as asked:
        asked.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def drop_database(address: str) -> None:
    """Files go with their folder."""
    if is_postgresql(address):
        name = urlsplit(address).path.removeprefix("/")
        with psycopg.connect(urlsplit(address)._replace(path="/postgres").geturl(), autocommit=True) as asked:
            asked.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def ask(address: str, question: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement, which has a `?` for each value, and commit it."""
    if is_postgresql(address):
        with psycopg.connect(address, options="-c timezone=UTC") as asked:
            cursor = asked.execute(question.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []
    with closing(sqlite3.connect(address.removeprefix("sqlite:///"), timeout=30)) as opened, opened:
        return opened.execute(question, values).fetchall()


def hold_write_lock(address: str, seconds: float) -> subprocess.Popen[str]:
    """Return when another process keeps every writer out of the database; it lets go by itself."""
    command = [sys.executable, "-c", _LOCKER, address, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process
