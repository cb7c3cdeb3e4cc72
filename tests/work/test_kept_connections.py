"""A thread works on the connection that an earlier one left, if that is as good as a new one."""

import threading

import pytest
from django.db import OperationalError, connection, connections, transaction

from tests.factories import NOW
from work import kept_connections
from work.kept_connections import kept_connection
from work.models import Lease

pytestmark = [pytest.mark.django_db(transaction=True)]


def in_thread(act=lambda: Lease.objects.count()):
    """Return the driver's connection that a thread worked with, and what went wrong there."""
    used, wrong = [], []

    def run():
        try:
            with kept_connection():
                try:
                    act()
                finally:
                    used.append(connections["default"].connection)
        except Exception as error:
            wrong.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return used[0], wrong


def kept() -> int:
    return kept_connections._kept.qsize()


@pytest.mark.usefixtures("sqlite_only")
def test_the_next_thread_goes_on_with_it():
    first, _ = in_thread(lambda: Lease.objects.create(name="a", holder="", expires_at=NOW))
    assert kept() == 1
    second, wrong = in_thread(lambda: Lease.objects.filter(name="a").update(holder="b"))
    assert (second, wrong) == (first, [])
    assert Lease.objects.get().holder == "b"
    assert kept() == 1


@pytest.mark.usefixtures("sqlite_only")
def test_two_threads_at_a_time_have_two_of_them():
    in_thread()
    used: list[object] = []
    both = threading.Barrier(2)

    def run():
        with kept_connection():
            Lease.objects.count()
            used.append(connections["default"].connection)
            both.wait(30)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(map(id, used))) == 2
    assert kept() == 2


def open_and_leave_open():
    connections["default"].set_autocommit(False)
    Lease.objects.create(name="not committed", holder="", expires_at=NOW)


def fail_in_the_database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


@pytest.mark.usefixtures("sqlite_only")
@pytest.mark.parametrize("act", [open_and_leave_open, fail_in_the_database, lambda: connection.close(), lambda: None])
def test_what_is_not_as_good_as_new_is_closed(act):
    in_thread(act)
    assert kept() == 0
    assert not Lease.objects.exists()


@pytest.mark.usefixtures("sqlite_only")
def test_what_went_wrong_outside_of_the_database_is_raised_and_the_connection_is_good():
    def fail():
        with transaction.atomic():
            Lease.objects.create(name="taken back", holder="", expires_at=NOW)
            raise OperationalError("the caller's own")

    first, wrong = in_thread(fail)
    assert isinstance(wrong[0], OperationalError)
    assert in_thread()[0] is first
    assert not Lease.objects.exists()


@pytest.mark.usefixtures("sqlite_only")
def test_a_file_that_took_the_others_place_is_opened_anew(monkeypatch):
    first, _ = in_thread()
    monkeypatch.setattr(kept_connections, "_file_of", lambda _: (1, 2))
    second, _ = in_thread()
    assert second is not first


@pytest.mark.usefixtures("sqlite_only")
def test_a_child_process_has_nothing_of_its_parents():
    """It must not close them either: that would take away the locks that the parent has."""
    of_the_parent, _ = in_thread()
    kept_connections._forget_the_parents()  # as after a fork
    assert kept() == 0
    assert in_thread()[0] is not of_the_parent
    of_the_parent.execute("SELECT 1")
    kept_connections._of_the_parent.pop().get().connection.close()


def test_of_another_database_nothing_is_kept():
    used, wrong = in_thread()
    assert used is not None
    assert wrong == []
    assert kept() == (1 if connection.vendor == "sqlite" else 0)
