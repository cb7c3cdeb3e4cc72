"""What every list does alike: read sort and page from the query string, head the columns, hand out CSV.

A list declares a `Table` of `Column`s once. `Table.show` returns a `Listing` for the templates under
templates/partials/ (`_table_head.html`, `_pager.html`); `Table.csv` returns the same rows, all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

from django.db.models import Expression, QuerySet
from django.http import QueryDict, StreamingHttpResponse

from ui.csv_export import csv_response
from ui.paging import Details, Found, Order, Slice, page_of_rows, page_of_values

Row = TypeVar("Row")
PAGE_SIZE = 50
#: What ?rows= may ask for.
PAGE_SIZES = (10, 25, 50, 100, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """One column. `name` is its field name in the address and in CSV; an empty `label` keeps it out of the page.

    The first column of a table names the row and is always shown.
    """

    name: str
    label: str = ""
    value: Callable[[Row], Any]
    kind: Literal["text", "number", "time"] = "text"
    #: What the database sorts by, for lists that it sorts. "" there: cannot be sorted by.
    sort_field: str | Expression = ""
    #: Database columns that order rows which are equal in this one, before the primary key does.
    then: tuple[str, ...] = ()
    #: An exact decimal is text on SQLite: it is cast for sorting, which is the only thing a float is good for.
    is_decimal: bool = False
    about: str = ""
    #: Shown to whoever chooses it.
    is_extra: bool = False


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
class Choice:
    """One line of the column chooser."""

    name: str
    label: str
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """One page of a list, with everything around it."""

    params: QueryDict
    headers: list[Header]
    page: Slice[Row]
    is_filtered: bool
    unfiltered_href: str
    #: Every column that the page can show, except for the first, which it always shows.
    choices: list[Choice]
    #: Which columns the page shows, for the cells of the template: {% if listing.shows.qty %}.
    shows: dict[str, bool]

    @property
    def rows(self) -> Sequence[Row]:
        return self.page.rows

    @property
    def total(self) -> int:
        return self.page.total

    @property
    def range(self) -> str:
        if not self.total:
            return "0"
        total = f"more than {self.total:,}" if self.page.is_more else f"{self.total:,}"
        return f"{self.page.start_index:,}–{self.page.end_index:,} of {total}"

    @property
    def sizes(self) -> Sequence[int]:
        return sorted({*PAGE_SIZES, self.page.size})

    @property
    def chosen_columns(self) -> list[str]:
        return [name for text in self.params.getlist("columns") for name in text.split(",") if name]

    @property
    def is_arranged(self) -> bool:
        """The columns or the rows on a page are not the usual ones."""
        return bool(self.chosen_columns or self.params.get("rows"))

    @property
    def usual_href(self) -> str:
        return _href(self.params, columns=None, rows=None, page=None)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What a form that chooses columns has to send along."""
        left_out = {"columns", "rows", "page", "format"}
        return [(name, value) for name, values in self.params.lists() if name not in left_out for value in values]

    @property
    def csv_href(self) -> str:
        return _href(self.params, format="csv", page=None, columns=None, rows=None)

    @property
    def first_href(self) -> str:
        return _href(self.params, page=None) if self.page.number > 2 else ""

    @property
    def previous_href(self) -> str:
        return _href(self.params, page=self.page.number - 1) if self.page.number > 1 else ""

    @property
    def next_href(self) -> str:
        return _href(self.params, page=self.page.number + 1) if self.page.has_next else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[Row]):
    columns: tuple[Column[Row], ...]
    default_sort: str
    #: False: the rows are a list of values, sorted in Python, exactly. True: a QuerySet, sorted by the database.
    in_database: bool
    #: Its template shows the columns of ?columns=, and has the chooser for them.
    has_chooser: bool = False
    #: From the query of all rows of this kind, makes the one that reads what a line shows; else the list's own does.
    details: Details | None = None
    #: Makes the lines of the list from what the database gave, where they are not the same.
    lines: Callable[[list[Any]], list[Row]] | None = None
    #: Query-string names that only arrange or select the view and are no filters.
    not_filters: frozenset[str] = frozenset({"sort", "page", "format", "account", "columns", "rows"})

    def sort_of(self, params: QueryDict) -> Sort:
        """Read ?sort=name or ?sort=-name; a word that means nothing here gives the default."""
        sortable = {column.name for column in self.columns if self._is_sortable(column)}
        asked = params.get("sort", "")
        text = asked if asked.removeprefix("-") in sortable else self.default_sort
        return Sort(text.removeprefix("-"), text.startswith("-"))

    def shows(self, params: QueryDict) -> dict[str, bool]:
        """Read ?columns=a,b or ?columns=a&columns=b; without one that we have, the usual columns are shown."""
        asked = {name.strip() for text in params.getlist("columns") for name in text.split(",")}
        choosable = [column for column in self.columns if column.label]
        chosen = {column.name for column in choosable if column.name in asked}
        if not chosen or not self.has_chooser:
            chosen = {column.name for column in choosable if not column.is_extra}
        return {column.name: number == 0 or column.name in chosen for number, column in enumerate(choosable)}

    def show(self, rows: Any, params: QueryDict, *, page_size: int = PAGE_SIZE) -> Listing[Row]:
        sort, shows = self.sort_of(params), self.shows(params)
        filters = {name: value for name, value in params.items() if name not in self.not_filters and value}
        return Listing(
            params=params,
            headers=[self._header(column, sort, params) for column in self.columns if shows.get(column.name)],
            page=self._page(rows, sort, params.get("page"), _size(params, page_size)),
            is_filtered=bool(filters),
            unfiltered_href=_href(params, page=None, **dict.fromkeys(filters)),
            choices=[Choice(c.name, c.label, shows[c.name]) for c in self.columns if c.label][1:],
            shows=shows,
        )

    def _page(self, rows: Any, sort: Sort, asked: str | None, size: int) -> Slice[Row]:
        column = self._column(sort)
        if not self.in_database:
            return page_of_values(_in_python(rows, column, sort), asked, size)
        page = page_of_rows(rows, _order(column, sort), asked=asked, size=size, details=self.details)
        return replace(page, rows=self.lines(list(page.rows))) if self.lines else page

    def csv(self, name: str, rows: Any, params: QueryDict) -> StreamingHttpResponse:
        sort = self.sort_of(params)
        fields = [(column.name, column.value) for column in self.columns]
        if not self.in_database:
            return csv_response(name, fields, _in_python(rows, self._column(sort), sort))
        found: QuerySet[Any] = rows.rows if isinstance(rows, Found) else rows
        detailed = self.details(found) if self.details else found
        ordered = detailed.order_by(*_order(self._column(sort), sort).terms(found))
        return csv_response(name, fields, self._streamed(ordered))

    def _streamed(self, rows: "QuerySet[Any]") -> Iterator[Row]:
        for row in rows.iterator(chunk_size=1000):
            yield from self.lines([row]) if self.lines else (row,)

    def _column(self, sort: Sort) -> Column[Row]:
        return next(column for column in self.columns if column.name == sort.name)

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


def _size(params: QueryDict, usual: int) -> int:
    asked = params.get("rows", "")
    return int(asked) if asked in {str(size) for size in PAGE_SIZES} else usual


def _order(column: Column[Any], sort: Sort) -> Order:
    return Order(by=column.sort_field, is_decimal=column.is_decimal, then=column.then, is_descending=sort.is_descending)


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
