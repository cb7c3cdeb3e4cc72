"""Lists: sort and page from the query string, heads that link, sorting that is exact."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from ui.tables import Column, Table, wants_csv

TABLE: Table[Any] = Table(
    in_database=False,
    default_sort="symbol",
    columns=(
        Column(name="symbol", label="Symbol", value=lambda row: row.symbol),
        Column(name="pl", label="Profit", kind="number", value=lambda row: row.pl),
        Column(name="note", value=lambda row: "x"),
    ),
)


def rows(*values):
    return [SimpleNamespace(symbol=f"S{i}", pl=None if v is None else Decimal(v)) for i, v in enumerate(values)]


def profits(listing):
    return [row.pl for row in listing.rows]


def test_numbers_sort_as_numbers_and_unknown_ones_come_last_either_way():
    values = rows("9", "-10", None, "100", "0.5")
    ascending = TABLE.show(values, QueryDict("sort=pl"))
    descending = TABLE.show(values, QueryDict("sort=-pl"))
    assert profits(ascending) == [Decimal("-10"), Decimal("0.5"), Decimal(9), Decimal(100), None]
    assert profits(descending) == [Decimal(100), Decimal(9), Decimal("0.5"), Decimal("-10"), None]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False)))
def test_sorting_is_exact(values):
    listing = TABLE.show(rows(*values), QueryDict("sort=pl"), page_size=1000)
    assert profits(listing) == sorted(values)


@pytest.mark.parametrize("query", ["", "sort=nonsense", "sort=--pl", "page=999&sort=", "page=abc"])
def test_a_query_without_meaning_gives_the_default(query):
    listing = TABLE.show(rows("2", "1"), QueryDict(query))
    assert [row.symbol for row in listing.rows] == ["S0", "S1"]


def test_heads_link_to_the_other_direction_and_keep_the_filters():
    listing = TABLE.show(rows("1"), QueryDict("sort=-pl&side=long&page=3"))
    symbol, profit = listing.headers
    assert (profit.aria_sort, profit.href) == ("descending", "?side=long&sort=pl")
    assert (symbol.aria_sort, symbol.href) == ("", "?side=long&sort=symbol")


def test_a_number_is_first_sorted_largest_first():
    listing = TABLE.show(rows("1"), QueryDict(""))
    assert listing.headers[1].href == "?sort=-pl"


def test_pages_and_their_links():
    listing = TABLE.show(rows(*map(str, range(5))), QueryDict("page=2&side=long"), page_size=2)
    assert listing.range == "3–4 of 5"
    assert listing.previous_href == "?side=long&page=1"
    assert listing.next_href == "?side=long&page=3"
    assert listing.csv_href == "?side=long&format=csv"


def test_what_only_arranges_the_view_is_no_filter():
    plain = TABLE.show([], QueryDict("sort=pl&page=2&account=sim&side="))
    assert not plain.is_filtered
    assert plain.range == "0"
    filtered = TABLE.show([], QueryDict("sort=pl&side=long&page=2"))
    assert filtered.is_filtered
    assert filtered.unfiltered_href == "?sort=pl"


CHOSEN: Table[Any] = Table(
    in_database=False,
    has_chooser=True,
    default_sort="symbol",
    columns=(*TABLE.columns, Column(name="age", label="Age", is_extra=True, value=lambda row: 1)),
)


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("", ["Symbol", "Profit"]),
        ("columns=age", ["Symbol", "Age"]),
        ("columns=age,pl", ["Symbol", "Profit", "Age"]),
        ("columns=age&columns=pl", ["Symbol", "Profit", "Age"]),
        ("columns=", ["Symbol", "Profit"]),
        ("columns=note,nonsense", ["Symbol", "Profit"]),
        ("columns=symbol", ["Symbol"]),
    ],
)
def test_columns_are_chosen_in_the_address_and_the_first_always_stays(query, labels):
    listing = CHOSEN.show(rows("1"), QueryDict(query))
    assert [header.label for header in listing.headers] == labels
    assert not listing.is_filtered


def test_a_choice_of_columns_travels_with_sort_and_page_and_not_into_csv():
    listing = CHOSEN.show(rows("1", "2", "3"), QueryDict("columns=age&rows=10&side=long"))
    assert listing.headers[0].href == "?columns=age&rows=10&side=long&sort=-symbol"
    assert listing.csv_href == "?side=long&format=csv"
    assert listing.usual_href == "?side=long"
    assert listing.kept == [("side", "long")]
    assert CHOSEN.csv("list", [], QueryDict("columns=age")).getvalue() == b"symbol,pl,note,age\r\n"


def test_a_list_without_a_chooser_shows_its_usual_columns():
    assert [header.label for header in TABLE.show([], QueryDict("columns=symbol")).headers] == ["Symbol", "Profit"]


@pytest.mark.parametrize(("query", "size"), [("", 50), ("rows=10", 10), ("rows=7", 50), ("rows=99999", 50)])
def test_rows_on_a_page_are_one_of_a_few_numbers(query, size):
    listing = CHOSEN.show(rows(*map(str, range(80))), QueryDict(query))
    assert len(listing.rows) == size
    assert listing.page.size == size


def test_csv_has_all_rows_in_the_order_of_the_page_and_the_columns_without_a_label():
    response = TABLE.csv("list", rows(*map(str, range(200))), QueryDict("sort=-pl&page=2"))
    lines = response.getvalue().decode().splitlines()
    assert lines[0] == "symbol,pl,note"
    assert lines[1] == "S199,199,x"
    assert len(lines) == 201


def test_only_the_word_csv_asks_for_csv():
    assert wants_csv(QueryDict("format=csv"))
    assert not wants_csv(QueryDict("format=CSVX"))
