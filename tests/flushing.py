"""Empty the tables between tests, the journal's too, whose triggers allow nobody to."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.operations import BaseDatabaseOperations

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
