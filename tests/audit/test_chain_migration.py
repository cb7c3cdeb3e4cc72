"""The journal of an installation that is upgraded: entries from before are chained in their order, there and back."""

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from audit.append_only import missing_triggers, removals
from audit.chain import current_head
from audit.models import AuditEntry, AuditLink
from audit.verifying import verify_chain
from tests.audit.breaking import make_entries
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _newest_again() -> Iterator[None]:
    yield
    call_command("migrate", "audit", verbosity=0)


def at_migration(name: str):
    executor = MigrationExecutor(connection)
    executor.migrate([("audit", name)])
    return executor.loader.project_state([("audit", name)]).apps.get_model("audit", "AuditEntry")


def test_entries_from_before_are_chained_and_what_they_say_is_kept(monkeypatch):
    old = at_migration("0001_initial")
    for number in range(7):
        old.objects.create(
            at=NOW - timedelta(seconds=number), actor=f"user{number}", action="a.b", summary="x", before={"n": 1.5}
        )
    said = list(old.objects.order_by("pk").values())
    monkeypatch.setattr(import_module("audit.migrations.0003_append_only"), "AT_ONCE", 3)
    call_command("migrate", "audit", verbosity=0)
    assert list(AuditEntry.objects.order_by("pk").values(*said[0])) == said
    assert list(AuditLink.objects.values_list("sequence", "entry_id")) == [
        (number, row["id"]) for number, row in enumerate(said, start=1)
    ]
    found = verify_chain()
    assert (found.is_proven, found.entries) == (True, 7)
    make_entries(2)
    assert verify_chain().entries == 9
    assert list(at_migration("0001_initial").objects.order_by("pk").values())[:7] == said


def test_triggers_come_back_without_a_new_chain():
    """What `verify_audit` tells people to do: it must not make a broken chain whole."""
    make_entries(4)
    head = current_head()
    with connection.cursor() as cursor:
        for statement in removals(connection.vendor):
            cursor.execute(statement)
        cursor.execute("UPDATE audit_auditentry SET actor = 'nobody'")
    at_migration("0002_chain")
    call_command("migrate", "audit", verbosity=0)
    assert missing_triggers(connection) == []
    assert current_head() == head
    assert not verify_chain().is_proven


def test_a_copy_of_all_rows_keeps_its_links():
    """As moving to PostgreSQL does it: in one transaction, rows as they are. Nothing links the entries again."""
    make_entries(3)
    entries, links = list(AuditEntry.objects.order_by("pk")), list(AuditLink.objects.all())
    call_command("flush", interactive=False, verbosity=0)
    with transaction.atomic():
        AuditEntry.objects.bulk_create(entries)
        AuditLink.objects.bulk_create(links)
    assert list(AuditLink.objects.values_list("sequence", "digest")) == [(row.sequence, row.digest) for row in links]
    assert verify_chain().is_proven
    make_entries(1)
    assert verify_chain().entries == 4
