"""What is restored is the backup, row for row; nobody sends on its old books, and what was there is kept."""

import json
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import ABOUT_SQLITE, IS_ON_POSTGRESQL
from tests.tradingsite.installation import MANAGE
from tests.upkeep.conftest import BOOKS, Books

pytestmark = pytest.mark.skipif(IS_ON_POSTGRESQL, reason=ABOUT_SQLITE)

LATER = """
from orders.models import Order
from tests.factories import make_fill
from tests.upkeep.acts import journaled
make_fill(Order.objects.get(status="new"), qty="77", activity_id="later")
journaled(1)
"""
FILLS = "SELECT activity_id, qty, price FROM orders_fill ORDER BY activity_id"
HALTED = "SELECT sending_halted, halted_reason FROM broker_account"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Books]:
    if request.param == "sqlite":
        yield request.getfixturevalue("books")
        return
    address = request.getfixturevalue("postgresql_server")
    made = Books(tmp_path / "data", DATABASE_URL=address, BACKUP_DIR=str(tmp_path / "backups"))
    made.set_up()
    made.shell(BOOKS)
    yield made


def test_it_is_as_it_was_and_nothing_is_sent_before_a_full_run(either: Books) -> None:
    before = either.query(FILLS)
    file = either.backup()["file"]
    either.shell(LATER)
    told = either.ok("restore_backup", file, "--force")
    assert either.query(FILLS) == before
    assert "Sending is halted for sim" in told
    ((is_halted, reason),) = either.query(HALTED)
    assert is_halted
    assert reason.startswith("Restored from a backup of ")
    assert either.query("SELECT state, is_full FROM reconciliation_run") in ([("queued", 1)], [("queued", True)])
    assert either.count("django_session") == 0, "who was logged out since must log in again"
    assert "proven" in either.ok("verify_audit")
    assert either.query("SELECT action FROM audit_auditentry ORDER BY id DESC LIMIT 1") == [("database.restored",)]
    replaced = next(Path(file).parent.glob("replaced-*.zip"))
    either.ok("restore_backup", str(replaced), "--force")
    assert len(either.query(FILLS)) == len(before) + 1


def test_nothing_is_restored_under_a_running_program(books: Books) -> None:
    file = books.backup()["file"]
    books.shell(LATER + "\nfrom django.utils import timezone\nfrom work.models import Heartbeat\n"
                "Heartbeat.objects.create(name='ticker', holder='elsewhere:1:1.0', at=timezone.now())")  # fmt: skip
    fills = books.count("orders_fill")
    told = books.refused("restore_backup", file, "--force")
    assert "Stop what is running first: ticker (elsewhere:1:1.0)" in told
    assert books.count("orders_fill") == fills


def test_without_an_answer_nothing_is_done(books: Books) -> None:
    file = books.backup()["file"]
    books.shell(LATER)
    done = subprocess.run(
        [*MANAGE, "restore_backup", file], env=books.environment, input="no\n", capture_output=True, text=True
    )
    assert (done.returncode, "Nothing was changed" in done.stderr) == (2, True)
    assert not list(Path(file).parent.glob("replaced-*"))


def spoiled(file: Path, how: str) -> Path:
    broken = file.with_name(f"{how}.zip")
    with zipfile.ZipFile(file) as archive:
        manifest, database = json.loads(archive.read("manifest.json")), bytearray(archive.read("database"))
    if how == "flipped":
        database[len(database) // 2] ^= 1
    elif how == "newer":
        manifest["migrations"]["orders"].append("9999_later")
    elif how == "other":
        manifest["vendor"] = "postgresql"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("database", bytes(database))
    if how == "torn":
        broken.write_bytes(broken.read_bytes()[:-500])
    elif how == "missing":
        broken.unlink()
    return broken


def test_what_cannot_be_trusted_is_refused(books: Books) -> None:
    file = Path(books.backup()["file"])
    books.shell(LATER)
    for how, sentence in {
        "torn": "is no backup, or a torn one",
        "flipped": "is damaged",
        "newer": "was made by a newer version: orders.9999_later is not known here",
        "other": "was made of postgresql, and this database is sqlite",
        "missing": "There is no file",
    }.items():
        assert sentence in books.refused("restore_backup", str(spoiled(file, how)), "--force")
    assert books.query(HALTED) == [(0, "")]
    assert books.query("SELECT count(*) FROM orders_fill WHERE activity_id = 'later'") == [(1,)]


def test_killed_at_any_moment_it_is_the_old_book_or_the_careful_new_one(books: Books) -> None:
    file = books.backup()["file"]
    books.shell(LATER)
    late = books.count("orders_fill")
    for wait in (0.9, 1.1, 1.3):
        process = subprocess.Popen([*MANAGE, "restore_backup", file, "--force"], env=books.environment)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert books.query("PRAGMA integrity_check") == [("ok",)]
        fills, ((is_halted, _),) = books.count("orders_fill"), books.query(HALTED)
        assert (fills, is_halted) in {(late, 0), (late - 1, 1)}
    assert "proven" in books.ok("verify_audit")
