"""Installations with books in them, driven by the commands that a person types."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.tradingsite.installation import Installation
from tests.tradingsite.stores import postgresql

BOOKS = """
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from tests.factories import make_account, make_fill, make_order
from tests.upkeep.acts import journaled
from tradingsite.incident.loading import load_database
account = make_account(environment="sim")
load_database(account=account, now=timezone.now())
for number in range(20):
    make_fill(qty="0.123456789", price=f"{number + 1}.1")
make_order(account=account, status="new")
session = SessionStore()
session["who"] = "somebody"
session.save()
journaled(3)
"""


class Books(Installation):
    """An installation whose tables can be compared."""

    def shell(self, program: str) -> str:
        done = self.run("shell", "-v", "0", "-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def backup(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("backup", "--json", *arguments))
        return found

    def count(self, table: str) -> int:
        return int(self.query(f"SELECT count(*) FROM {table}")[0][0])


@pytest.fixture(scope="session")
def books_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = Books(tmp_path_factory.mktemp("books") / "data")
    made.set_up()
    made.shell(BOOKS)
    yield made.data_dir / "db.sqlite3"
    made.clean_up()


@pytest.fixture
def books(books_file: Path, tmp_path: Path) -> Iterator[Books]:
    made = Books(tmp_path / "data", BACKUP_DIR=str(tmp_path / "backups"), BACKUPS_KEPT="2")
    made.data_dir.mkdir()
    copy_of(books_file, made.data_dir / "db.sqlite3")
    yield made
    made.clean_up()


def copy_of(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgresql(tmp_path_factory.mktemp("upkeep") / "postgresql") as address:
        yield address
