"""Empty the tables between tests, the journal's too, whose triggers allow nobody to, and quickly."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.core.management.sql import emit_post_migrate_signal
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models.signals import post_migrate

from audit.append_only import TABLES, missing_triggers, removals, statements


@contextmanager
def without_triggers(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Play somebody with the owner's rights: take the triggers away, and put them back."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in removals(connection.vendor):
            cursor.execute(statement)
        yield
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in statements(connection.vendor):
            cursor.execute(statement)


_execute = BaseDatabaseOperations.execute_sql_flush


def _execute_sql_flush(self: BaseDatabaseOperations, sql_list: Iterable[str]) -> None:
    connection = connections[self.connection.alias]
    if set(missing_triggers(connection)) or not any(TABLES[0] in statement for statement in sql_list):
        _execute(self, sql_list)
        return
    with without_triggers(connection):
        _execute(self, sql_list)


def let_the_journal_be_emptied() -> None:
    """A transactional test ends with Django's flush of every table."""
    BaseDatabaseOperations.execute_sql_flush = _execute_sql_flush  # type: ignore[method-assign]


#: What Django's own receivers make after a flush, by database: always the same rows, and slow to find out.
_made: dict[str, tuple[list[ContentType], list[Permission]]] = {}


def _emit_post_migrate_signal(verbosity: int, interactive: bool, db: str, **given: Any) -> None:
    if db in _made:
        types, permissions = _made[db]
        with transaction.atomic(using=db):
            ContentType.objects.using(db).bulk_create(types)
            Permission.objects.using(db).bulk_create(permissions)
        ContentType.objects.clear_cache()
        return
    listening = {receiver for each in apps.get_app_configs() for receiver in post_migrate._live_receivers(each)[0]}
    assert listening == {create_permissions, create_contenttypes}, f"Make what these make, too: {listening}"
    emit_post_migrate_signal(verbosity, interactive, db, **given)
    _made[db] = (list(ContentType.objects.using(db)), list(Permission.objects.using(db).order_by("pk")))


def let_a_flush_be_quick() -> None:
    """After each transactional test Django looks anew for the types and permissions of all models: once is enough."""
    flush.emit_post_migrate_signal = _emit_post_migrate_signal  # type: ignore[attr-defined]
