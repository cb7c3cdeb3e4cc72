"""Insert very many rows of one table, past the objects that Django would make of each.

A model's save, and bulk_create as well, spends five times on preparing a row what the database spends on storing it.
The values arrive in the database as the fields would have brought them there.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import Any

from django.db import models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import get_connection

from broker.decimals import ExactDecimalField, plain
from broker.types import RawText

Convert = Callable[[Any], Any]
#: Enough that the statement itself costs nothing, few enough that it is held in memory.
ROWS_IN_A_STATEMENT = (250, 25, 1)
_AS_THEY_ARE = (models.CharField, models.TextField, models.BooleanField, models.IntegerField, models.ForeignKey)


def insert_rows(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]], **same: Any) -> None:
    """Insert rows of the values of `columns`; `same` is alike in all of them. Other columns have their defaults.

    Columns are named as the attributes are, so `account_id`. Like bulk_create it sends no signals, and numbers
    the rows in their sequence.
    """
    rows = list(rows)
    if not rows:
        return
    alias = router.db_for_write(model)
    connection = get_connection(alias)
    fields = {field.attname: field for field in model._meta.local_concrete_fields if not field.primary_key}
    alike = {name: field.get_default() for name, field in fields.items() if name not in columns} | same
    fixed = tuple(_converted(fields[name], [value], connection)[0] for name, value in alike.items())
    prepared = [_converted(fields[name], map(itemgetter(i), rows), connection) for i, name in enumerate(columns)]
    ready = list(zip(*prepared, strict=True))
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        at = 0
        for at_once in _rows_in_a_statement(connection, len(columns), len(fixed)):
            if blocks := [ready[i : i + at_once] for i in range(at, len(ready) - at_once + 1, at_once)]:
                statement = _statement(model, columns, list(alike), at_once, connection)
                cursor.executemany(statement, [(*fixed, *chain.from_iterable(block)) for block in blocks])
                at += at_once * len(blocks)


def look_up(
    model: type[models.Model], column: str, values: Collection[str], wanted: str, *, account_id: int
) -> list[tuple[Any, ...]]:
    """Return `column` and `wanted` of the account's rows that have one of these texts there, in no sequence.

    Django judges each value of a list by itself, which takes longer than to find it.
    """
    if not values:
        return []
    connection = get_connection(router.db_for_read(model))
    quote, fields = connection.ops.quote_name, {field.attname: field for field in model._meta.local_concrete_fields}
    key, other, account = (quote(str(fields[name].column)) for name in (column, wanted, "account_id"))
    places = _places(len(values))
    statement = (
        f"SELECT {key}, {other} FROM {quote(model._meta.db_table)} "  # noqa: S608  # our own names
        f"WHERE {account} = %s AND {key} IN ({places})"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [account_id, *values])
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _rows_in_a_statement(connection: BaseDatabaseWrapper, columns: int, alike: int) -> list[int]:
    """How many rows one statement takes: on SQLite as many as possible of the first number, the rest of the next.

    While SQLite works, other threads of the process go on; between two statements it waits for them to let it in.
    PostgreSQL's driver sends statements of one row together.
    """
    if connection.vendor != "sqlite":
        return [1]
    most_values: int = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    return [rows for rows in ROWS_IN_A_STATEMENT if rows * columns + alike <= most_values] or [1]


def _statement(
    model: type[models.Model], columns: Sequence[str], alike: Sequence[str], rows: int, connection: BaseDatabaseWrapper
) -> str:
    """What is alike in all rows is given once, before them."""
    quote, fields = connection.ops.quote_name, {field.attname: field for field in model._meta.local_concrete_fields}
    names = ", ".join(quote(str(fields[name].column)) for name in (*alike, *columns))
    begin = f"INSERT INTO {quote(model._meta.db_table)} ({names})"
    if rows == 1:
        return f"{begin} VALUES ({_places(len(alike) + len(columns))})"
    values = ", ".join([f"({_places(len(columns))})"] * rows)
    chosen = ", ".join([*["%s"] * len(alike), *(f"column{number}" for number in range(1, len(columns) + 1))])
    return f"{begin} SELECT {chosen} FROM (VALUES {values})"  # noqa: S608  # our own names


def _places(count: int) -> str:
    return ", ".join(["%s"] * count)


def _converted(field: "models.Field[Any, Any]", values: Iterable[Any], connection: BaseDatabaseWrapper) -> list[Any]:
    convert = _converter(field, connection)
    return list(values) if convert is None else [None if value is None else convert(value) for value in values]


def _converter(field: "models.Field[Any, Any]", connection: BaseDatabaseWrapper) -> Convert | None:
    """Return what makes the field's values ready for the database; None where they are so already."""
    if isinstance(field, models.JSONField):
        return partial(_spell_json, encoder=field.encoder)
    if isinstance(field, ExactDecimalField):
        return _spell_number if connection.vendor == "sqlite" else None
    if isinstance(field, models.DateTimeField):
        return _spell_moment(connection) if connection.vendor == "sqlite" else None
    if isinstance(field, _AS_THEY_ARE):
        return None
    return lambda value: field.get_db_prep_save(value, connection)


@lru_cache(maxsize=4096)
def _spell_number(number: Decimal) -> str | None:
    """Quantities and prices come again and again; equal numbers have one spelling."""
    return plain(number)


def _spell_json(value: Any, encoder: type[json.JSONEncoder] | None) -> str:
    return value if value.__class__ is RawText else json.dumps(value, cls=encoder)


def _spell_moment(connection: BaseDatabaseWrapper) -> Convert:
    is_utc = connection.timezone is UTC

    def spell(moment: datetime) -> Any:
        if is_utc and moment.tzinfo is UTC:
            return moment.isoformat(" ")[:-6]  # without +00:00
        return connection.ops.adapt_datetimefield_value(moment)

    return spell
