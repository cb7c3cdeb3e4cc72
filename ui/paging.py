"""Cut one page out of a list, in three queries whose cost does not grow with the list.

1. Count, but only so far. 2. Find the ids of the page: few rows are fetched by whatever index finds them and are
sorted here, exactly; of many, the index that has them in order is walked, from the nearer end. 3. Load those rows.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db.models import CharField, Expression, F, FloatField, Func, OrderBy, QuerySet
from django.db.models.functions import Cast
from django.db.models.lookups import StartsWith

Row = TypeVar("Row")

Details = Callable[["QuerySet[Any]"], "QuerySet[Any]"]

#: Up to so many rows are sorted here, however they were found.
MOST_SORTED = 1_000
#: Rows are counted no further: beyond it, a list says that there are more.
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """One page. `total` is how many rows there are, or how many were counted while there are more."""

    rows: Sequence[Row]
    number: int
    size: int
    total: int
    is_more: bool = False
    has_next: bool = False

    @property
    def start_index(self) -> int:
        return (self.number - 1) * self.size + 1 if self.total else 0

    @property
    def end_index(self) -> int:
        return (self.number - 1) * self.size + len(self.rows)


@dataclass(frozen=True, slots=True)
class Found(Generic[Row]):
    """Rows that were looked for by several things at once.

    `rows` is all of them. `parts` are the same rows in queries of which an index answers each; no row is in two.
    """

    rows: "QuerySet[Any]"
    parts: "tuple[QuerySet[Any], ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to sort by. Rows without a value come last either way; equal ones follow `then` and the primary key."""

    by: str | Expression
    is_decimal: bool = False
    then: tuple[str, ...] = ()
    is_descending: bool = False

    def terms(self, rows: "QuerySet[Any]") -> list[OrderBy]:
        key = Cast(self.by, FloatField()) if self.is_decimal else F(self.by) if isinstance(self.by, str) else self.by
        # PostgreSQL takes an index for "nulls last" only where it was made so: say it only where there are nulls.
        nulls_last = True if self._can_be_null(rows) else None
        names = (*self.then, "pk")
        if self.is_descending:
            return [key.desc(nulls_last=nulls_last), *(F(name).desc() for name in names)]
        return [key.asc(nulls_last=nulls_last), *(F(name).asc() for name in names)]

    def _can_be_null(self, rows: "QuerySet[Any]") -> bool:
        if not isinstance(self.by, str) or self.by == "pk":
            return not isinstance(self.by, str)
        try:
            return bool(rows.model._meta.get_field(self.by.removesuffix("_id")).null)
        except FieldDoesNotExist:  # an annotation
            return True

    def arrange(self, keyed: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Return the ids, which come last in each row of `keyed`, in order."""
        known: list[tuple[Any, ...]] = []
        unknown: list[tuple[Any, ...]] = []
        for row in keyed:
            (unknown if row[0] is None else known).append(row)
        known.sort(reverse=self.is_descending)
        unknown.sort(key=lambda row: row[1:], reverse=self.is_descending)
        return [row[-1] for row in known + unknown]


class Unindexed(Func):
    """A column that is looked at only in rows which something better has found."""

    template, arity = "%(expressions)s", 1

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="+%(expressions)s", **context)


@CharField.register_lookup
class Begins(StartsWith):
    """Text that begins so, upper and lower case being two things. Unlike `startswith` it uses an index on SQLite."""

    lookup_name = "begins"

    def get_rhs_op(self, connection: Any, rhs: str) -> str:
        operator: str = connection.operators[StartsWith.lookup_name] % rhs
        return operator

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        column, params = compiler.compile(self.lhs)
        text = str(self.rhs)
        return f"({column} >= %s AND {column} < %s)", [*params, text, *params, text[:-1] + chr(ord(text[-1]) + 1)]


def page_of_values(rows: Sequence[Row], asked: str | None, size: int) -> Slice[Row]:
    number = _number(asked, last=_pages(len(rows), size))
    has_next = number * size < len(rows)
    return Slice(rows[(number - 1) * size : number * size], number, size, len(rows), has_next=has_next)


def page_of_rows(
    found: "QuerySet[Any] | Found[Any]", order: Order, *, asked: str | None, size: int, details: "Details | None" = None
) -> Slice[Any]:
    """Return page `asked`. `details` makes the query of the page's rows from that of all rows of their kind."""
    whole = found if isinstance(found, Found) else Found(found, (found,))
    # What was looked for by several things at once is often not all in one index.
    most = MOST_COUNTED if len(whole.parts) == 1 else MOST_SORTED
    total = _united(whole, "pk")[: most + 1].count()
    is_more = total > most
    if total <= MOST_SORTED:
        number = _number(asked, last=_pages(total, size))
        ids = order.arrange(_united(whole, order.by, *order.then, "pk"))[(number - 1) * size :]
    elif is_more:
        number, ids = _page_of_many(whole.rows, order, asked, size)
    else:
        number = _number(asked, last=_pages(total, size))
        ids = _walk(whole.rows, order, number, size, total)
    rows = _load(whole.rows, ids[:size], details)
    page: Slice[Any] = Slice(rows, number, size, min(total, most), is_more, len(ids) > size)
    # Whoever sees the end knows how many there are.
    return replace(page, total=page.end_index, is_more=False) if is_more and not page.has_next else page


def _page_of_many(rows: "QuerySet[Any]", order: Order, asked: str | None, size: int) -> tuple[int, list[Any]]:
    number = _number(asked, last=sys.maxsize // size)
    ids = _walk(rows, order, number, size)
    if not ids:  # somebody asks for a page that is not there: now all have to be counted
        total = rows.count()
        number = _pages(total, size)
        ids = _walk(rows, order, number, size, total)
    return number, ids


def _united(found: "Found[Any]", *fields: str | Expression) -> "QuerySet[Any, Any]":
    parts = [part.order_by().values_list(*fields) for part in found.parts]
    return parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]


def _walk(rows: "QuerySet[Any]", order: Order, number: int, size: int, total: int | None = None) -> list[Any]:
    """Return the ids of a page and of the row after it, if there is one; from the end where that is nearer."""
    ordered = rows.order_by(*order.terms(rows))
    start, stop = (number - 1) * size, number * size + 1
    if total is None or start <= total // 2:
        return list(ordered.values_list("pk", flat=True)[start:stop])
    from_the_end = ordered.reverse().values_list("pk", flat=True)[max(total - stop, 0) : total - start]
    return list(from_the_end)[::-1]


def _load(rows: "QuerySet[Any]", ids: list[Any], details: "Details | None") -> list[Any]:
    # Without the filters where they are not needed: a database that sees both may look through all they leave.
    wanted = details(rows.model._default_manager.all()) if details else rows
    by_id = {row.pk: row for row in wanted.order_by().filter(pk__in=ids)}
    return [by_id[pk] for pk in ids if pk in by_id]


def _pages(total: int, size: int) -> int:
    return max(-(-total // size), 1)


def _number(asked: str | None, *, last: int) -> int:
    """The page that was asked for; the first for what is no number, the last for what is beyond it."""
    try:
        number = int(asked or 1)
    except ValueError:
        return 1
    return number if 1 <= number <= last else last
