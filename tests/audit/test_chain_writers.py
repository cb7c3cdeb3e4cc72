"""Several writers at once: one chain, no gap, nobody gets an error, and nobody waits for a whole act of another."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from django.db import connection, transaction

from audit.models import AuditLink
from audit.verifying import verify_chain
from broker.models import Account
from tests.audit.breaking import make_entries
from tests.factories import make_account

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS, ACTS = 6, 8


def in_threads(*acts):
    def run(act):
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, act) for act in acts]]


def test_the_chain_of_many_writers_has_neither_gap_nor_fork():
    together = Barrier(WRITERS)

    def write():
        together.wait(timeout=30)
        for _ in range(ACTS):
            with transaction.atomic():
                make_entries(2)

    in_threads(*[write] * WRITERS)
    assert list(AuditLink.objects.values_list("sequence", flat=True)) == list(range(1, WRITERS * ACTS * 2 + 1))
    assert verify_chain().is_proven


def test_two_acts_that_hold_rows_of_each_other_do_not_end_in_a_deadlock():
    """One writes its entry first and waits for a row; the other holds that row and writes its entry.

    SQLite lets the second begin when the first has ended.
    """
    account = make_account()
    has_row, has_entry = Event(), Event()

    def row_first():
        with transaction.atomic():
            Account.objects.filter(pk=account.pk).update(name="row first")
            has_row.set()
            has_entry.wait(30 if connection.vendor == "postgresql" else 0.2)
            make_entries(1)

    def entry_first():
        assert has_row.wait(30)
        with transaction.atomic():
            make_entries(1)
            has_entry.set()
            Account.objects.filter(pk=account.pk).update(name="entry first")

    in_threads(row_first, entry_first)
    assert verify_chain().entries == 2
