"""Statements that the ORM compiles once: for the few transactions that are on the way of every order.

To build and compile an UPDATE the ORM takes many times longer than SQLite takes to carry it out, and while a batch is
sent the same ones are carried out again and again. Here the ORM is asked once for each statement, with a `Blank` in
each place where a value will be, and what it answered is kept for as long as the process lives. The values are
prepared by the model's own fields, as the ORM does it, and what comes back is read by their own converters.

An execution is what the ORM's would be: in the model's database and the transaction that is open there, with the same
errors, the same mark on a transaction that failed, the same wrappers around it. Signals are not sent.

`update` and `insert` are for rows and values that are at hand: whoever books what a stream tells may use them, too. A
`Statement` is for one with conditions of its own.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeAlias, TypeVar

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import AutoField, Expression, Field, Model, Q, QuerySet
from django.db.models.expressions import Col
from django.db.models.sql import InsertQuery, UpdateQuery

AnyField: TypeAlias = "Field[Any, Any]"
Compiled = tuple[str, tuple[Any, ...]]
Row = TypeVar("Row", bound=Model)
_AT_ONCE = timedelta(0)


class Blank(Expression):
    """The place of a value that is given by this name at each execution; a moment may be so much later or earlier."""

    def __init__(self, name: Hashable, field: AnyField, later_by: timedelta = _AT_ONCE) -> None:
        super().__init__(output_field=field)
        self.name, self.later_by = name, later_by

    def __add__(self, more: timedelta) -> "Blank":  # type: ignore[override]  # nothing is added in SQL
        return Blank(self.name, self.output_field, self.later_by + more)

    def __sub__(self, less: timedelta) -> "Blank":  # type: ignore[override]
        return self + -less

    def as_sql(self, _compiler: object, _connection: object) -> tuple[str, list["Blank"]]:  # type: ignore[override]
        return "%s", [self]

    def prepared(self, values: Mapping[Any, Any], here: BaseDatabaseWrapper) -> Any:
        value = values[self.name]
        return self.output_field.get_db_prep_save(value + self.later_by if self.later_by else value, here)


#: A moment, or the place of one: what builds conditions takes both.
Moment = datetime | Blank


@dataclass(frozen=True, slots=True)
class Ready:
    """A statement with its values, which were prepared before the transaction in which it is carried out."""

    sql: str
    values: tuple[Any, ...]
    alias: str

    def run(self) -> int:
        """Carry it out; return how many rows it changed or added."""
        with transaction.mark_for_rollback_on_error(using=self.alias), connections[self.alias].cursor() as cursor:
            cursor.execute(self.sql, self.values)
            count: int = cursor.rowcount
            return count

    def rows(self, model: type[Row]) -> list[Row]:
        """Carry out one that gives back whole rows of this model."""
        here = connections[self.alias]
        with transaction.mark_for_rollback_on_error(using=self.alias), here.cursor() as cursor:
            cursor.execute(self.sql, self.values)
            found = cursor.fetchall()
        reader = _reader(model, here)
        return [reader.read(values) for values in found]


class Statement:
    """One statement about a model, compiled for each kind of database when it is first wanted there."""

    def __init__(self, model: type[Model], compile_for: Callable[[BaseDatabaseWrapper], Compiled]) -> None:
        self._model, self._compile_for = model, compile_for
        self._forms: dict[str, _Form] = {}

    def ready(self, values: Mapping[Any, Any]) -> Ready:
        """Prepare it with the values of its blanks, by name."""
        here = connections[router.db_for_write(self._model)]
        form = self._forms.get(here.vendor)
        if form is None:
            form = self._forms[here.vendor] = _Form(self._compile_for(here))
        return form.filled(values, here)


class _Form:
    """What a Statement is for one kind of database."""

    def __init__(self, compiled: Compiled) -> None:
        self._sql, places = compiled
        # A member of an enumeration is text, which the driver would have to find out each time.
        self._row = [str(place) if isinstance(place, str) else place for place in places]
        alike: dict[object, tuple[Blank, list[int]]] = {}
        for number, place in enumerate(places):
            if isinstance(place, Blank):
                alike.setdefault((place.name, place.later_by, place.output_field), (place, []))[1].append(number)
        self._blanks = list(alike.values())

    def filled(self, values: Mapping[Any, Any], here: BaseDatabaseWrapper) -> Ready:
        row = self._row.copy()
        for blank, numbers in self._blanks:
            value = blank.prepared(values, here)
            for number in numbers:
                row[number] = value
        return Ready(self._sql, tuple(row), here.alias)


def field_of(model: type[Model], name: str) -> AnyField:
    """Return the field under its own name or that of its column, as `order_id`."""
    field = model._meta.get_field(name)
    if isinstance(field, Field):
        return field
    raise TypeError(f"{name} is no column of {model.__name__}.")


def compiled_update(
    found: "QuerySet[Any]", here: BaseDatabaseWrapper, columns: Mapping[str, object], *, returns_rows: bool = False
) -> Compiled:
    """Return what `found.update(**columns)` would execute; with `returns_rows` it gives back the rows, as changed."""
    query = found.query.chain(UpdateQuery)
    query.add_update_values(dict(columns))  # type: ignore[attr-defined]  # the stubs take it for a Query
    query.clear_ordering(force=True)
    sql, places = query.get_compiler(connection=here).as_sql()
    if returns_rows:
        columns_read = ", ".join(here.ops.quote_name(field.column) for field in found.model._meta.concrete_fields)
        sql = f"{sql} RETURNING {columns_read}"
    return sql, tuple(places)


def update(model: type[Model], *, where: Mapping[str, Any], columns: Mapping[str, Any]) -> Ready:
    """Prepare an UPDATE of the rows in which these columns are equal to these values, to None, or to one of a tuple."""
    counts = tuple([(name, _count(value)) for name, value in where.items()])
    asked = {(name, n): each for name, value in where.items() for n, each in enumerate(_as_tuple(value))}
    return _update(model, counts, tuple(columns)).ready({**asked, **columns})


def insert(model: type[Model], rows: Sequence[Mapping[str, Any]]) -> Ready:
    """Prepare `model.objects.bulk_create` of these rows in one statement; each names every column but the key."""
    statement = _insert(model, frozenset(rows[0]), len(rows))
    return statement.ready({(name, n): value for n, row in enumerate(rows) for name, value in row.items()})


# --- The shapes of statements -----------------------------------------------------------------------------------


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _count(value: Any) -> int | None:
    """None for one value, 0 for none."""
    return len(_as_tuple(value)) if value is None or isinstance(value, tuple) else None


@cache
def _update(model: type[Model], where: tuple[tuple[str, int | None], ...], columns: tuple[str, ...]) -> Statement:
    def condition(name: str, count: int | None) -> Q:
        blanks = [Blank((name, n), field_of(model, name)) for n in range(1 if count is None else count)]
        if count == 0:
            return Q(**{f"{name}__isnull": True})
        return Q(**{name: blanks[0]} if count is None else {f"{name}__in": blanks})

    def compile_for(here: BaseDatabaseWrapper) -> Compiled:
        found = model._base_manager.filter(*[condition(name, count) for name, count in where])
        return compiled_update(found, here, {name: Blank(name, field_of(model, name)) for name in columns})

    return Statement(model, compile_for)


@cache
def _insert(model: type[Model], names: frozenset[str], rows: int) -> Statement:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]
    if names != {field.attname for field in fields}:
        raise TypeError(f"A row of {model.__name__} has {sorted(field.attname for field in fields)}.")

    def compile_for(here: BaseDatabaseWrapper) -> Compiled:
        query = InsertQuery(model)
        objects = [
            model(**{field.attname: Blank((field.attname, number), field) for field in fields})
            for number in range(rows)
        ]
        query.insert_values(fields, objects)
        ((sql, places),) = query.get_compiler(connection=here).as_sql()
        return sql, places

    return Statement(model, compile_for)


# --- Reading ----------------------------------------------------------------------------------------------------


class _Reader:
    """Makes objects of rows, as a QuerySet does, for one connection."""

    def __init__(self, model: type[Model], here: BaseDatabaseWrapper) -> None:
        self.here, self._model = here, model
        self._names, columns = _columns_of(model)
        found = [
            (place, here.ops.get_db_converters(column) + column.get_db_converters(here), column)
            for place, column in enumerate(columns)
        ]
        self._converters = [each for each in found if each[1]]

    def read(self, values: Sequence[Any]) -> Any:
        row = list(values)
        for place, converters, column in self._converters:
            for convert in converters:
                row[place] = convert(row[place], column, self.here)
        return self._model.from_db(self.here.alias, self._names, row)


@cache
def _columns_of(model: type[Model]) -> tuple[list[str], list[Col]]:
    fields = model._meta.concrete_fields
    return [field.attname for field in fields], [field.get_col(model._meta.db_table) for field in fields]


def _reader(model: type[Model], here: BaseDatabaseWrapper) -> _Reader:
    """The converters are the connection's own: they are kept with it."""
    readers: dict[type[Model], _Reader] = vars(here).setdefault("readers_of_statements", {})
    if model not in readers:
        readers[model] = _Reader(model, here)
    return readers[model]
