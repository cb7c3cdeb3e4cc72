"""An installation moves to another kind of database: every row, checked on both sides, or nothing at all."""

import json
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.databases import ABOUT_SQLITE, IS_ON_POSTGRESQL, ask
from tests.tradingsite.installation import MANAGE
from tests.upkeep.conftest import Books

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(IS_ON_POSTGRESQL, reason=ABOUT_SQLITE),
]
FILLS = "SELECT activity_id, qty, price, transaction_time FROM orders_fill ORDER BY activity_id"


def new_database(server: str, name: str, template: str = "template1") -> str:
    with closing(psycopg.connect(server, autocommit=True)) as session:
        session.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return f"{server.rpartition('/')[0]}/{name}"


@pytest.fixture(scope="module")
def migrated(postgresql_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with tables and nothing in them."""
    address = new_database(postgresql_server, "migrated")
    Books(tmp_path_factory.mktemp("migrated") / "data", DATABASE_URL=address).ok("migrate", "-v", "0")
    return "migrated"


def test_every_row_arrives_and_comes_back(books: Books, postgresql_server: str, tmp_path: Path) -> None:
    empty = new_database(postgresql_server, "without_tables")
    there = json.loads(books.ok("copy_database", "--to", empty, "--json"))
    assert {key: value for key, value in table(there, "orders_fill").items() if key != "digest"} == {
        "table": "orders_fill",
        "rows": 20,
    }
    moved = Books(tmp_path / "moved", DATABASE_URL=empty)
    assert "proven" in moved.ok("verify_audit")
    # What is made next takes the next number.
    moved.shell("from tests.factories import make_account\nmake_account('other', environment='sim')")
    back = tmp_path / "back.sqlite3"
    again = json.loads(moved.ok("copy_database", "--to", f"sqlite:///{back}", "--json"))
    assert table(again, "orders_fill") == table(there, "orders_fill")
    assert ask(f"sqlite:///{back}", FILLS) == books.query(FILLS)
    assert table(again, "broker_account")["rows"] == table(there, "broker_account")["rows"] + 1


def table(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in document["tables"] if one["table"] == name)


def test_what_cannot_be_copied_is_refused_and_nothing_is(
    books: Books, postgresql_server: str, migrated: str, tmp_path: Path
) -> None:
    address = new_database(postgresql_server, "not_empty", migrated)
    moved = Books(tmp_path / "moved", DATABASE_URL=address)
    assert "An address is postgres://" in books.refused("copy_database", "--to", "postgres://secret@")
    alive = "Heartbeat.objects.create(name='ticker', holder='elsewhere:1:1.0', at=timezone.now())"
    books.shell(f"from django.utils import timezone\nfrom work.models import Heartbeat\n{alive}")
    assert "Stop what is running on the source first" in books.refused("copy_database", "--to", address)
    (at,) = books.query("SELECT at FROM work_heartbeat")[0]
    with closing(sqlite3.connect(books.data_dir / "db.sqlite3")) as database, database:
        database.execute("DELETE FROM work_heartbeat WHERE at = ?", [at])
    moved.shell("from tests.factories import make_account\nmake_account(environment='sim')")
    assert "The target is not empty: broker_account has rows" in books.refused("copy_database", "--to", address)
    assert moved.count("orders_fill") == 0


def test_killed_in_the_middle_the_target_is_empty(
    books: Books, postgresql_server: str, migrated: str, tmp_path: Path
) -> None:
    address = new_database(postgresql_server, "killed", migrated)
    books.shell("from tests.upkeep.acts import journaled\njournaled(2000)")
    moved = Books(tmp_path / "moved", DATABASE_URL=address)
    process = subprocess.Popen(
        [*MANAGE, "copy_database", "--to", address], env=books.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "audit_auditlink" in line:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    time.sleep(0.5)
    assert moved.count("audit_auditentry") == 0
    assert "same on both sides" in books.ok("copy_database", "--to", address)
    assert moved.count("audit_auditentry") == books.count("audit_auditentry")
