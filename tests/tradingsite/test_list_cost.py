"""What a page costs in questions to the database: the same few, however many rows there are. No clock is asked.

How long they take is measured by `python -m benchmarks.lists`; here the plan of each question says that an index
answers it.
"""

import csv
import re

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from orders.listing import TABLE as ORDERS
from orders.listing import listed_orders
from orders.models import Order
from positions.models import Position
from tests.crowds import COMMON_SYMBOL, Size, fill_books
from tests.factories import make_account, make_order
from ui import paging

HTMX = {"HX-Request": "true"}
SMALL = Size(orders=40, batches=6, positions=12, runs=6, entries=12, drifts=12)
MORE = Size(orders=100, batches=60, positions=100, runs=60, entries=100, drifts=30)
LISTS = [
    "/",
    "/orders/",
    "/orders/?status=filled",
    "/orders/?status=working",
    "/orders/?submission_state=confirmed",
    f"/orders/?symbol={COMMON_SYMBOL}",
    "/orders/?q=crowd",
    "/orders/?sort=-filled_qty&columns=client_order_id,refusal",
    "/orders/?format=csv",
    "/batches/",
    "/batches/?sort=-orders",
    "/batches/?format=csv",
    "/positions/",
    "/positions/?sort=-unrealized_pl",
    "/positions/?status=closed",
    "/positions/?drift=yes",
    "/positions/?format=csv",
    "/audit/",
    "/audit/?actor=ops",
    "/audit/?format=csv",
    "/reconciliation/",
    "/reconciliation/?format=csv",
    "/reconciliation/runs/",
    "/reconciliation/runs/?format=csv",
    "/protection/",
    "/insight/",
    "/system/",
]


@pytest.fixture
def account(db):
    return make_account()


@pytest.fixture
def reader(client, people):
    client.force_login(people.ops)
    return client


def questions(reader, path, **headers):
    """Return what a page asks, having asked it once before: the first visit fills what is remembered."""
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            response = reader.get(path, headers=headers)
            assert response.status_code == 200, path
            if response.streaming:
                list(response.streaming_content)
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize("path", LISTS)
def test_a_page_asks_the_same_number_of_questions_of_few_and_many_rows(reader, account, path):
    fill_books(account, SMALL)
    few = questions(reader, path), questions(reader, path, **HTMX)
    fill_books(account, MORE)
    many = questions(reader, path), questions(reader, path, **HTMX)
    assert [len(asked) for asked in many] == [len(asked) for asked in few]


@pytest.fixture
def long_list(monkeypatch):
    """Few rows are treated as the many that are not sorted in Python and not counted to their end."""
    monkeypatch.setattr(paging, "MOST_SORTED", 5)
    monkeypatch.setattr(paging, "MOST_COUNTED", 70)


def test_a_list_that_is_walked_asks_no_more_than_one_that_is_sorted(reader, account, monkeypatch):
    fill_books(account, MORE)
    for path in (path for path in LISTS if path.startswith("/orders/")):
        monkeypatch.setattr(paging, "MOST_SORTED", 1000)
        short = len(questions(reader, path))
        monkeypatch.setattr(paging, "MOST_SORTED", 5)
        assert len(questions(reader, path)) == short, path


def plans(asked):
    """How SQLite answers the questions about orders."""
    with connection.cursor() as cursor:
        for sql in asked:
            if 'FROM "orders_order"' in sql:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                yield sql, [row[3] for row in cursor.fetchall()]


SORTS = [f"sort={sign}{column.name}" for column in ORDERS.columns if column.sort_field for sign in ("", "-")]
#: Each filter with the index that finds what it leaves.
FILTERS = {
    f"symbol={COMMON_SYMBOL}": "order_by_symbol",
    f"symbol={COMMON_SYMBOL}&status=filled&submission_state=confirmed": "order_by_symbol",
    "status=filled": "order_by_status",
    "status=filled&submission_state=confirmed": "order_by_status",
    "status=working": "order_by_status",
    "submission_state=confirmed": "order_by_state",
    "batch=1": "order_by_batch",
    "q=crowd": "client_order_id",
}


@pytest.mark.usefixtures("sqlite_only")
def test_no_question_about_orders_reads_or_sorts_them_all(reader, account, long_list):
    fill_books(account, MORE)
    for query in (*SORTS, *FILTERS):
        seen = list(plans(questions(reader, f"/orders/?{query}")))
        assert seen
        for sql, plan in seen:
            assert not [step for step in plan if re.match(r"SCAN orders_order\b", step)], (sql, plan)
            assert not [step for step in plan if "TEMP B-TREE" in step and "ORDER BY" in step], (sql, plan)


@pytest.mark.usefixtures("sqlite_only")
def test_what_a_filter_leaves_is_counted_in_its_index(reader, account, long_list):
    fill_books(account, MORE)
    for query, index in FILTERS.items():
        counts = [plan for sql, plan in plans(questions(reader, f"/orders/?{query}")) if "COUNT(*)" in sql]
        assert any(index in step for plan in counts for step in plan), (query, counts)


def test_walking_shows_what_sorting_shows(reader, account, monkeypatch):
    fill_books(account, Size(orders=28, batches=3))
    ways = {"sorted": (1000, 1000), "walked": (5, 1000), "counted in part": (5, 6)}
    for sort in SORTS:
        for page, rows in ((1, 10), (2, 10), (3, 8), (9, 8)):
            shown = {}
            for way, (most_sorted, most_counted) in ways.items():
                monkeypatch.setattr(paging, "MOST_SORTED", most_sorted)
                monkeypatch.setattr(paging, "MOST_COUNTED", most_counted)
                params = QueryDict(f"{sort}&page={page}&rows=10")
                shown[way] = [order.pk for order in ORDERS.show(listed_orders(account, params), params).rows]
            assert shown["sorted"] == shown["walked"] == shown["counted in part"], (sort, page)
            assert len(shown["sorted"]) == rows


def test_a_list_says_that_there_are_more_until_its_end_is_seen(reader, account, long_list):
    fill_books(account, Size(orders=130))
    first, middle, last = (reader.get(f"/orders/?page={page}").context["listing"] for page in (1, 2, 3))
    assert first.range == "1–50 of more than 70"
    assert middle.next_href == "?page=3"
    assert last.range == "101–130 of 130"
    assert last.next_href == ""
    assert reader.get("/orders/?page=77").context["listing"].range == "101–130 of 130"


def test_a_search_finds_an_order_once_however_it_matches(reader, account, long_list):
    fill_books(account, Size(orders=40))
    order = make_order(account, symbol="ABC", client_order_id="ABC-1", broker_order_id="abc-2")
    own = make_order(account, symbol="XYZ", client_order_id="ts-ABC-7")
    for query, found in (("ABC", {order, own}), ("abc-2", {order}), ("ABC-7", {own}), ("bc", set())):
        listing = reader.get(f"/orders/?q={query}").context["listing"]
        assert set(listing.rows) == found
        assert listing.total == len(found)


@pytest.mark.parametrize("text", ["%", "_", "'", '"', "\\", "zzz\U0010fffe", "ts-", "0"])
def test_a_search_takes_signs_for_themselves(reader, account, text):
    make_order(account, client_order_id="plain")
    wanted = make_order(account, client_order_id=f"{text}x", broker_order_id="b")
    assert wanted in reader.get("/orders/", {"q": text}).context["listing"].rows
    assert Order.objects.filter(client_order_id__begins=text).count() == 1


def test_csv_gives_every_field_of_every_row_whatever_the_page_shows(reader, account):
    fill_books(account, Size(orders=130, batches=60, positions=130, runs=60, entries=130, drifts=20))
    for path, rows in (("/orders/", 130), ("/positions/", 130), ("/audit/", 130), ("/batches/", 60),
                       ("/reconciliation/runs/", 60), ("/reconciliation/", 16)):  # fmt: skip
        response = reader.get(f"{path}?format=csv&columns=symbol&rows=10&page=2")
        assert response["Content-Type"].startswith("text/csv"), path
        table = list(csv.DictReader(response.getvalue().decode().splitlines()))
        assert len(table) == rows, path
        assert len(table[0]) > 7, path


def test_what_a_spreadsheet_would_run_is_guarded_in_the_differences(reader, account):
    fill_books(account, Size(drifts=2))
    account.drifts.update(sentence="=HYPERLINK(1)", assigned_to="@sum")
    text = reader.get("/reconciliation/?format=csv").getvalue().decode()
    assert "'=HYPERLINK" in text
    assert "'@sum" in text


def test_a_page_of_positions_reads_only_the_positions_that_it_shows(reader, account):
    fill_books(account, Size(positions=120))
    columns = len(Position._meta.concrete_fields)
    whole = [sql for sql in questions(reader, "/positions/") if sql.count('"positions_position"."') >= columns]
    assert whole
    assert all('"positions_position"."id" IN (' in sql for sql in whole)
