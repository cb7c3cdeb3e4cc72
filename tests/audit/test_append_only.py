"""The database itself refuses to change or remove what was written."""

import pytest
from django.db import IntegrityError, connection, transaction

from audit.append_only import missing_triggers
from audit.chain import current_head
from audit.models import AuditEntry, AuditLink
from audit.verifying import verify_chain
from tests.audit.breaking import make_entries

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = [
    "UPDATE audit_auditentry SET actor = 'nobody' WHERE id = {entry}",
    "UPDATE audit_auditentry SET reason = reason",
    "DELETE FROM audit_auditentry WHERE id = {entry}",
    "UPDATE audit_auditlink SET digest = previous",
    "DELETE FROM audit_auditlink",
    "DELETE FROM audit_auditlink WHERE sequence = 3",
]
REFUSED_ON = {
    "sqlite": [
        "INSERT OR REPLACE INTO audit_auditentry SELECT * FROM audit_auditentry WHERE id = {entry}",
        "REPLACE INTO audit_auditlink SELECT * FROM audit_auditlink WHERE sequence = 2",
        "REPLACE INTO audit_auditlink (sequence, entry_id, previous, digest) "
        "SELECT 99, entry_id, previous, digest FROM audit_auditlink WHERE sequence = 2",
        "UPDATE OR REPLACE audit_auditentry SET id = id + 1",
    ],
    "postgresql": [
        "TRUNCATE audit_auditlink",
        "TRUNCATE audit_auditentry, audit_auditlink",
        "TRUNCATE audit_auditentry CASCADE",
        "INSERT INTO audit_auditlink SELECT * FROM audit_auditlink WHERE sequence = 2 "
        "ON CONFLICT (sequence) DO UPDATE SET digest = ''",
    ],
}


@pytest.mark.parametrize("number", range(len(REFUSED) + 4))
def test_no_statement_changes_what_was_written(number):
    entry = make_entries()[2]
    statement = [*REFUSED, *REFUSED_ON[connection.vendor]][number]
    before = list(AuditEntry.objects.order_by("pk").values()), list(AuditLink.objects.values())
    with pytest.raises(IntegrityError, match="only ever added to"), connection.cursor() as cursor:
        cursor.execute(statement.format(entry=entry.pk))
    assert (list(AuditEntry.objects.order_by("pk").values()), list(AuditLink.objects.values())) == before


def test_neither_do_the_models():
    entry = make_entries()[2]
    entry.actor = "nobody"
    for attempt in (entry.save, entry.link.delete, AuditEntry.objects.all().delete, AuditLink.objects.all().delete):
        with pytest.raises(IntegrityError):
            attempt()
    assert AuditEntry.objects.get(pk=entry.pk).actor == "ops"
    assert verify_chain().is_proven


def test_all_migrations_together_leave_the_triggers_in_place():
    """SQLite makes a table anew to change a column, and forgets the triggers of the old one."""
    assert missing_triggers(connection) == []


def test_an_act_that_is_taken_back_leaves_neither_entry_nor_link():
    make_entries(2)
    head = current_head()

    with transaction.atomic():
        make_entries(2)
        transaction.set_rollback(True)
    assert current_head() == head
    make_entries(1)
    assert list(AuditLink.objects.values_list("sequence", flat=True)) == [1, 2, 3]
    assert verify_chain().is_proven
