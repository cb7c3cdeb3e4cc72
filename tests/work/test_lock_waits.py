"""Waiting for SQLite's write lock is counted, for all processes together."""

import sqlite3
import threading
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.databases import ABOUT_SQLITE, IS_ON_POSTGRESQL
from work import lock_waits
from work.models import Lease


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def held_lock(release: threading.Event) -> threading.Thread:
    """Another program that keeps the lock until it is told."""
    taken = threading.Event()

    def hold():
        other = sqlite3.connect(connection.settings_dict["NAME"], uri=True, timeout=5, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        taken.set()
        release.wait(10)
        other.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    return thread


@pytest.mark.skipif(IS_ON_POSTGRESQL, reason=ABOUT_SQLITE)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_transaction", [True, False])
def test_a_write_that_waits_counts_with_its_seconds(in_transaction):
    connection.ensure_connection()
    assert lock_waits.totals() == (0, 0.0)
    release = threading.Event()
    thread = held_lock(release)
    threading.Timer(0.4, release.set).start()
    if in_transaction:
        with transaction.atomic():
            Lease.objects.count()
    else:
        Lease.objects.filter(name="x").update(expires_at=timezone.now())
    thread.join()
    count, seconds = lock_waits.totals()
    assert count == 1
    assert 0.2 < seconds < 20


def test_many_processes_and_threads_lose_no_wait():
    def wait_often():
        for _ in range(50):
            lock_waits.note(0.5)

    threads = [threading.Thread(target=wait_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lock_waits.totals() == (200, 100.0)


def test_a_folder_that_cannot_be_written_hurts_nobody(settings):
    settings.DATA_DIR = Path("/proc/nowhere")
    lock_waits.note(1)
    assert lock_waits.totals() == (0, 0.0)
