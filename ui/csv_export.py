"""Give a list as a CSV file: all its rows, streamed, safe to open in a spreadsheet."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.http import StreamingHttpResponse

from ui.formatting import iso_utc

Row = TypeVar("Row")

#: What a spreadsheet takes for the start of a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Line:
    """A file that gives back what is written to it: the csv module then makes one line at a time."""

    def write(self, text: str) -> str:
        return text


def cell(value: object) -> str:
    """Spell one cell. Text that a spreadsheet would run gets an apostrophe; numbers, also negative, do not."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return iso_utc(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def csv_lines(fields: Sequence[tuple[str, Callable[[Row], Any]]], rows: Iterable[Row]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow([name for name, _ in fields])
    for row in rows:
        yield writer.writerow([cell(value(row)) for _, value in fields])


def csv_response(
    name: str, fields: Sequence[tuple[str, Callable[[Row], Any]]], rows: Iterable[Row]
) -> StreamingHttpResponse:
    """Stream `rows` as NAME.csv with one column for each (field name, function of the row)."""
    response = StreamingHttpResponse(csv_lines(fields, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response
