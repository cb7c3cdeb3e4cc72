"""Chain the entries that are there, in the order in which they were written, and guard the tables by triggers.

A chain that is there already is left as it is: the way back and forth puts the triggers in place again and nothing else.
"""

from django.db import migrations

from audit.append_only import removals, statements
from audit.digests import NOTHING_BEFORE, chain_digest, content_digest

AT_ONCE = 1000


def chain_entries(apps, schema_editor):
    entries = apps.get_model('audit', 'AuditEntry').objects.using(schema_editor.connection.alias)
    links = apps.get_model('audit', 'AuditLink').objects.using(schema_editor.connection.alias)
    if links.exists():
        return
    sequence, digest, last = 0, NOTHING_BEFORE, 0
    while found := list(entries.filter(pk__gt=last).order_by('pk')[:AT_ONCE]):
        made, contents = [], []
        for entry in found:
            content, previous, sequence = content_digest(entry), digest, sequence + 1
            digest = chain_digest(previous=previous, sequence=sequence, entry_id=entry.pk, content=content)
            contents.append((content, entry.pk))
            made.append(links.model(sequence=sequence, entry_id=entry.pk, previous=previous, digest=digest))
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany('UPDATE audit_auditentry SET digest = %s WHERE id = %s', contents)
        links.bulk_create(made)
        last = found[-1].pk


def install(apps, schema_editor):
    if schema_editor.connection.vendor == 'postgresql':
        # No trigger comes to a table of which a check is still to be made.
        schema_editor.execute('SET CONSTRAINTS ALL IMMEDIATE', params=None)
    for statement in statements(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


def remove(apps, schema_editor):
    for statement in removals(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0002_chain'),
    ]

    operations = [
        migrations.RunPython(chain_entries, migrations.RunPython.noop),
        migrations.RunPython(install, remove),
    ]
