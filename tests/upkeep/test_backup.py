"""A backup is of one moment, whole or not there, and nobody waits for it."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import ABOUT_SQLITE, IS_ON_POSTGRESQL
from tests.tradingsite.installation import MANAGE
from tests.upkeep.conftest import Books

pytestmark = pytest.mark.skipif(IS_ON_POSTGRESQL, reason=ABOUT_SQLITE)

#: Writes a session and a lease in each transaction, so that a copy of one moment has as many of either.
WRITER = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
number, longest = 0, 0.0
print("writing", flush=True)
while True:
    number += 1
    began = time.monotonic()
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO django_session VALUES (?, '', '2030-01-01')", [f"w{number}"])
    database.execute(
        "INSERT INTO work_lease (name, holder, expires_at) VALUES (?, '', '2030-01-01')", [f"w{number}"]
    )
    database.execute("COMMIT")
    longest = max(longest, time.monotonic() - began)
    print(number, longest, flush=True)
    time.sleep(0.002)
"""


def unpacked(file: str, folder: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        return Path(archive.extract("database", folder))


def written(database: Path, table: str, column: str) -> int:
    with closing(sqlite3.connect(database)) as opened:
        return int(opened.execute(f"SELECT count(*) FROM {table} WHERE {column} LIKE 'w%'").fetchone()[0])


def test_while_a_writer_writes_it_is_of_one_moment(books: Books, tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(books.data_dir / "db.sqlite3")], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    try:
        made = [books.backup() for _ in range(2)]
    finally:
        writer.terminate()
        told = writer.communicate()[0].split("\n")
    for number, backup in enumerate(made):
        copy = unpacked(backup["file"], tmp_path / str(number))
        rows = written(copy, "django_session", "session_key")
        assert rows == written(copy, "work_lease", "name")
        assert rows > 0
    done = int(told[-2].split()[0])
    assert done > rows, "the writer wrote on"
    assert written(books.data_dir / "db.sqlite3", "work_lease", "name") >= done


def test_only_its_owner_reads_it_and_the_newest_are_kept(books: Books, tmp_path: Path) -> None:
    files = [Path(books.backup()["file"]) for _ in range(3)]
    assert [file.exists() for file in files] == [False, True, True]
    assert files[-1].stat().st_mode & 0o777 == 0o600
    (elsewhere := tmp_path / "elsewhere").mkdir()
    named = books.backup("--to", str(elsewhere / "mine.zip"))["file"]
    assert named == str(elsewhere / "mine.zip")
    assert "is there already" in books.refused("backup", "--to", named)
    assert sorted(path.name for path in elsewhere.iterdir()) == ["mine.zip"]


def test_a_folder_that_cannot_be_written_is_a_sentence(books: Books) -> None:
    assert "/proc/nowhere cannot be written" in books.refused("backup", "--to", "/proc/nowhere")


def test_killed_in_the_middle_it_leaves_nothing_that_looks_like_a_backup(books: Books, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    for wait in (0.0, 0.03):
        process = subprocess.Popen([*MANAGE, "backup"], env=books.environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and not any(folder.glob(".unfinished-*")):
            time.sleep(0.001)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for done in folder.glob("backup-*.zip"):  # it was quicker than the signal
            assert zipfile.ZipFile(done).testzip() is None
    left = list(folder.glob(".unfinished-*"))
    books.backup()
    assert list(folder.glob(".unfinished-*")) == left, "it may be another backup's that is still at work"
    for path in left:
        os.utime(path, (0, 0))
    books.backup()
    assert not list(folder.glob(".unfinished-*"))
