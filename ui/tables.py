"""What every list does alike: read sort and page from the query string, head the columns, hand out CSV.

A list declares a `Table` of `Column`s once. `Table.show` returns a `Listing` for the templates under
templates/partials/ (`_table_head.html`, `_pager.html`); `Table.csv` returns the same rows, all of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import F, FloatField, QuerySet
from django.db.models.functions import Cast
from django.http import QueryDict, StreamingHttpResponse

from ui.csv_export import csv_response

Row = TypeVar("Row")
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """One column. `name` is its field name in the address and in CSV; an empty `label` keeps it out of the page."""

    name: str
    label: str = ""
    value: Callable[[Row], Any]
    kind: Literal["text", "number", "time"] = "text"
    #: The database column to sort by, for lists that the database sorts. "" there: cannot be sorted by.
    sort_field: str = ""
    #: An exact decimal is text on SQLite: it is cast for sorting, which is the only thing a float is good for.
    is_decimal: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class Sort:
    name: str
    is_descending: bool

    @property
    def query(self) -> str:
        return f"-{self.name}" if self.is_descending else self.name


@dataclass(frozen=True, slots=True)
class Header:
    label: str
    kind: str
    about: str
    href: str  # "" when the column cannot be sorted by
    aria_sort: str  # "", "ascending" or "descending"


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """One page of a list, with everything around it."""

    params: QueryDict
    headers: list[Header]
    page: "Page[Row]"
    is_filtered: bool
    unfiltered_href: str

    @property
    def rows(self) -> Sequence[Row]:
        return list(self.page)

    @property
    def total(self) -> int:
        return self.page.paginator.count

    @property
    def range(self) -> str:
        return f"{self.page.start_index():,}–{self.page.end_index():,} of {self.total:,}" if self.total else "0"

    @property
    def csv_href(self) -> str:
        return _href(self.params, format="csv", page=None)

    @property
    def previous_href(self) -> str:
        return _href(self.params, page=self.page.previous_page_number()) if self.page.has_previous() else ""

    @property
    def next_href(self) -> str:
        return _href(self.params, page=self.page.next_page_number()) if self.page.has_next() else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[Row]):
    columns: tuple[Column[Row], ...]
    default_sort: str
    #: False: the rows are a list of values, sorted in Python, exactly. True: a QuerySet, sorted by the database.
    in_database: bool
    #: Query-string names that only arrange or select the view and are no filters.
    not_filters: frozenset[str] = frozenset({"sort", "page", "format", "account"})

    def sort_of(self, params: QueryDict) -> Sort:
        """Read ?sort=name or ?sort=-name; a word that means nothing here gives the default."""
        sortable = {column.name for column in self.columns if self._is_sortable(column)}
        asked = params.get("sort", "")
        text = asked if asked.removeprefix("-") in sortable else self.default_sort
        return Sort(text.removeprefix("-"), text.startswith("-"))

    def ordered(self, rows: Any, sort: Sort) -> Any:
        column = next(column for column in self.columns if column.name == sort.name)
        if self.in_database:
            return _in_database(rows, column, sort)
        return _in_python(rows, column, sort)

    def show(self, rows: Any, params: QueryDict, *, page_size: int = PAGE_SIZE) -> Listing[Row]:
        sort = self.sort_of(params)
        page = Paginator(self.ordered(rows, sort), page_size).get_page(params.get("page"))
        headers = [self._header(column, sort, params) for column in self.columns if column.label]
        filters = {name: value for name, value in params.items() if name not in self.not_filters and value}
        unfiltered = _href(params, page=None, **dict.fromkeys(filters))
        return Listing(params, headers, page, bool(filters), unfiltered)

    def csv(self, name: str, rows: Any, params: QueryDict) -> StreamingHttpResponse:
        ordered = self.ordered(rows, self.sort_of(params))
        if isinstance(ordered, QuerySet):
            ordered = ordered.iterator(chunk_size=1000)
        return csv_response(name, [(column.name, column.value) for column in self.columns], ordered)

    def _is_sortable(self, column: Column[Row]) -> bool:
        return bool(column.sort_field) if self.in_database else True

    def _header(self, column: Column[Row], sort: Sort, params: QueryDict) -> Header:
        if not self._is_sortable(column):
            return Header(column.label, column.kind, column.about, "", "")
        is_current = column.name == sort.name
        # Numbers and times are most often wanted largest first.
        descending = not sort.is_descending if is_current else column.kind != "text"
        href = _href(params, sort=Sort(column.name, descending).query, page=None)
        aria = ("descending" if sort.is_descending else "ascending") if is_current else ""
        return Header(column.label, column.kind, column.about, href, aria)


def wants_csv(params: QueryDict) -> bool:
    return params.get("format") == "csv"


def _in_database(rows: "QuerySet[Any]", column: Column[Any], sort: Sort) -> "QuerySet[Any]":
    key = Cast(column.sort_field, FloatField()) if column.is_decimal else F(column.sort_field)
    order = key.desc(nulls_last=True) if sort.is_descending else key.asc(nulls_last=True)
    return rows.order_by(order, "-pk" if sort.is_descending else "pk")


def _in_python(rows: Iterable[Row], column: Column[Row], sort: Sort) -> list[Row]:
    """Sort exactly; rows without a value come last either way."""
    known: list[Row] = []
    unknown: list[Row] = []
    for row in rows:
        (unknown if column.value(row) is None else known).append(row)
    known.sort(key=lambda row: _sort_key(column.value(row)), reverse=sort.is_descending)
    return known + unknown


def _sort_key(value: object) -> Any:
    return value if isinstance(value, Decimal | int | datetime) else str(value).casefold()


def _href(params: QueryDict, **changes: object) -> str:
    query = params.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f"?{query.urlencode()}"
