"""An installation with books comes from the state before the newest migrations, and goes back there, losing nothing."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import ABOUT_SQLITE, IS_ON_POSTGRESQL
from tests.upkeep.conftest import Books, copy_of

pytestmark = pytest.mark.skipif(IS_ON_POSTGRESQL, reason=ABOUT_SQLITE)

OWN_APPS = ("alerts", "audit", "broker", "orders", "positions", "reconciliation", "signin", "work", "bookmarks")
#: Steps back over the newest migration of each app that has one before it, then all the way forward again.
STEP_BACK = """
import json
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
stepped = []
for app in {apps!r}:
    names = sorted(name for label, name in MigrationLoader(connection).disk_migrations if label == app)
    if len(names) > 1:
        call_command("migrate", app, names[-2], verbosity=0, interactive=False)
        stepped.append(names[-1])
print(json.dumps(stepped))
"""

Tables = dict[str, tuple[list[str], list[tuple[object, ...]]]]


@pytest.fixture
def stepped_back(books: Books) -> list[str]:
    stepped: list[str] = json.loads(books.shell(STEP_BACK.format(apps=OWN_APPS)))
    return stepped


def tables_of(file: Path) -> Tables:
    """Every table of ours with its columns and rows. What Django and its parts write for themselves is left out."""
    found: Tables = {}
    with closing(sqlite3.connect(file)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in sorted(name for name in names if name.startswith(OWN_APPS)):
            rows = database.execute(f'SELECT * FROM "{name}" ORDER BY 1')
            found[name] = [column[0] for column in rows.description], rows.fetchall()
    return found


def as_mappings(tables: Tables, name: str, columns: list[str]) -> list[dict[str, object]]:
    names, rows = tables[name]
    return [{key: value for key, value in zip(names, row, strict=True) if key in columns} for row in rows]


def test_what_both_states_know_is_the_same_on_the_way_back_and_forward(
    books: Books, books_file: Path, stepped_back: list[str], tmp_path: Path
) -> None:
    newest = tables_of(books_file)
    file = books.data_dir / "db.sqlite3"
    assert len(stepped_back) >= 5, "apps with more than one migration"
    assert "not up to date" in books.refused("worker"), "a program of the new version does not run on old tables"
    before = tables_of(file)
    copy_of(file, tmp_path / "old.sqlite3")
    books.ok("migrate", "-v", "0")
    after = tables_of(file)
    assert {name: columns for name, (columns, _) in after.items()} == {
        name: columns for name, (columns, _) in newest.items()
    }
    for name, (columns, rows) in before.items():
        both = [column for column in columns if column in newest[name][0]]
        assert as_mappings(after, name, both) == as_mappings(before, name, both), name
        assert as_mappings(newest, name, both) == as_mappings(before, name, both), name
        assert len(after[name][1]) == len(rows)
    assert "proven" in books.ok("verify_audit")
    assert sum(len(rows) for _, rows in before.values()) > 100
