"""A list as a file: safe to open in a spreadsheet, exact, and streamed."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.csv_export import cell, csv_response


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\rx", "=cmd|' /C calc'!A0"])
def test_text_that_a_spreadsheet_would_run_is_quoted(text):
    assert cell(text) == "'" + text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("-310.50"), "-310.50"),
        (Decimal("1E+3"), "1000"),
        (-7, "-7"),
        (None, ""),
        (True, "true"),
        (datetime(2025, 11, 6, 13, 0, 7, tzinfo=UTC), "2025-11-06T13:00:07Z"),
        ("FTNT", "FTNT"),
        ("a-b", "a-b"),
    ],
)
def test_numbers_and_times_are_plain(value, text):
    assert cell(value) == text


@given(st.lists(st.tuples(st.text(), st.decimals(allow_nan=False, allow_infinity=False, places=4)), max_size=5))
def test_rows_read_back(rows):
    fields = [("name", lambda row: row[0]), ("pl", lambda row: row[1])]
    response = csv_response("list", fields, rows)
    text = response.getvalue().decode()
    head, *lines = csv.reader(io.StringIO(text, newline=""))
    assert head == ["name", "pl"]
    assert [(name.removeprefix("'"), Decimal(pl)) for name, pl in lines] == [
        (name.removeprefix("'"), pl) for name, pl in rows
    ]


def test_it_is_streamed_as_a_download():
    pulled = []

    def rows():
        for number in range(3):
            pulled.append(number)
            yield number

    response = csv_response("orders", [("n", lambda row: row)], rows())
    assert response["Content-Disposition"] == 'attachment; filename="orders.csv"'
    lines = response.streaming_content
    assert isinstance(lines, Iterator)
    assert next(lines) == b"n\r\n"
    assert next(lines) == b"0\r\n"
    assert pulled == [0]
