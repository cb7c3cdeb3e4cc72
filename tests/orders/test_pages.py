"""The orders list and the page of one order."""

import csv

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.models import OrderEvent
from tests.factories import NOW, make_account, make_batch, make_fill, make_order, minutes

HTMX = {"HX-Request": "true"}


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


def read(client, path):
    response = client.get(path)
    assert response.status_code == 200
    return (b"".join(response.streaming_content) if response.streaming else response.content).decode()


def csv_rows(client, query):
    return list(csv.DictReader(read(client, f"/orders/?{query}&format=csv").splitlines()))


def queries(client, path):
    with CaptureQueriesContext(connection) as captured:
        read(client, path)
    return len(captured)


def test_logged_out_people_are_sent_to_the_log_in(client, db):
    assert client.get("/orders/")["Location"].startswith("/accounts/login/")
    assert client.get("/orders/", headers=HTMX)["HX-Redirect"].startswith("/accounts/login/")


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("sort=symbol", ["AAPL", "FTNT", "MSFT", "TSLA"]),
        ("status=filled", ["FTNT"]),
        ("status=weird_new", ["TSLA"]),
        ("status=working&sort=symbol", ["AAPL", "MSFT", "TSLA"]),
        ("submission_state=unconfirmed", ["AAPL"]),
        ("symbol=ftnt", ["FTNT"]),
        ("symbol=F", []),
        ("batch=abc", []),
        ("batch=99999999999999999999999", []),
        ("q=find", ["MSFT"]),
        ("q=find-me", ["MSFT"]),
        ("q=nd-me", []),
        ("q=aapl", ["AAPL"]),
        ("sort=qty", ["MSFT", "FTNT", "TSLA", "AAPL"]),
        ("sort=-qty", ["AAPL", "TSLA", "FTNT", "MSFT"]),
        ("sort=-recorded_at", ["TSLA", "MSFT", "AAPL", "FTNT"]),
    ],
)
def test_filters_and_sorting_by_the_query_string_are_the_same_in_page_and_csv(reader, query, symbols):
    make_order(symbol="FTNT", side="sell", qty="9", status="filled", recorded_at=minutes(1))
    make_order(symbol="AAPL", qty="1000", submission_state="unconfirmed", recorded_at=minutes(2))
    make_order(symbol="MSFT", qty="0.5", client_order_id="ts-find-me", recorded_at=minutes(3))
    make_order(symbol="TSLA", qty="20", status="weird_new", recorded_at=minutes(4))
    page = reader.get(f"/orders/?{query}")
    assert [order.symbol for order in page.context["listing"].rows] == symbols
    assert [row["symbol"] for row in csv_rows(reader, query)] == symbols


def test_batch_filter(reader):
    batch = make_batch()
    make_order(symbol="A", batch=batch)
    make_order(symbol="B")
    assert [row["symbol"] for row in csv_rows(reader, f"batch={batch.pk}")] == ["A"]


def test_only_the_chosen_accounts_orders_are_listed(reader):
    make_order(symbol="SIMS")
    make_order(make_account("paper", environment="paper"), symbol="PAPR")
    assert [row["symbol"] for row in csv_rows(reader, "")] == ["SIMS"]
    assert [row["symbol"] for row in csv_rows(reader, "account=paper")] == ["PAPR"]


def test_csv_guards_formulas_in_text_but_not_numbers(reader):
    make_order(symbol="A", client_order_id="=HYPERLINK(1)", qty="5", refusal="-2 shares")
    (row,) = csv_rows(reader, "")
    assert row["client_order_id"] == "'=HYPERLINK(1)"
    assert row["refusal"] == "'-2 shares"
    assert row["qty"] == "5"
    assert {"side", "submission_state", "status", "filled_qty", "leaves_qty", "broker_order_id"} <= row.keys()


def test_an_unknown_status_is_shown_as_it_came(reader):
    make_order(status="calculated_soon")
    text = read(reader, "/orders/")
    assert "calculated soon" in text
    assert '<option value="calculated_soon"' in text


def test_three_kinds_of_empty(reader):
    assert 'data-empty="none"' in read(reader, "/orders/")
    assert 'data-empty="no-match"' in read(reader, "/orders/?symbol=NOPE")


def test_notional_orders_show_dollars(reader):
    make_order(qty=None, notional="500")
    assert "$500.00" in read(reader, "/orders/")


@pytest.mark.parametrize("query", ["", "?format=csv", "?status=new&q=test"])
def test_list_asks_the_same_number_of_queries_for_2_and_30_rows(reader, query):
    batch = make_batch()
    for _ in range(2):
        make_order(batch=batch)
    few = queries(reader, f"/orders/{query}")
    for _ in range(28):
        make_order(batch=batch)
    assert queries(reader, f"/orders/{query}") == few


def test_order_page_shows_both_states_life_line_fills_and_raw_json(reader):
    order = make_order(
        symbol="QCOM", qty="74", status="partially_filled", filled_qty="30", raw={"id": "abc", "x": None}
    )
    make_fill(order, qty="30", price="172.305")
    for number, kind in enumerate(("recorded", "claimed", "confirmed")):
        OrderEvent.objects.create(order=order, at=minutes(number), kind=kind, text=f"Step {kind}.", actor="ops")
    text = read(reader, f"/orders/{order.pk}/")
    assert "partially filled" in text
    assert "confirmed" in text
    assert text.index("Step recorded.") < text.index("Step claimed.") < text.index("Step confirmed.")
    assert "172.305" in text
    assert order.fills.get().activity_id in text
    assert "&quot;id&quot;: &quot;abc&quot;" in text
    assert "44 left" in text


def test_unconfirmed_says_what_it_means(reader):
    order = make_order(submission_state="unconfirmed", unconfirmed_at=NOW, lookup_count=2)
    text = read(reader, f"/orders/{order.pk}/")
    assert "It is not known whether Alpaca has this order." in text
    assert "2 times without a find" in text


def test_refusal_is_shown(reader):
    order = make_order(submission_state="denied", refusal="Over the limit of <one> order.")
    assert "Over the limit of &lt;one&gt; order." in read(reader, f"/orders/{order.pk}/")


def test_replace_chain_links_both_ways(reader):
    old = make_order(status="replaced", broker_order_id="old-id", replaced_by="new-id")
    new = make_order(broker_order_id="new-id", replaces="old-id")
    assert new.get_absolute_url() in read(reader, f"/orders/{old.pk}/")
    assert old.get_absolute_url() in read(reader, f"/orders/{new.pk}/")


def test_order_page_asks_the_same_number_of_queries_for_2_and_30_fills(reader):
    order = make_order()
    for _ in range(2):
        make_fill(order, qty="1", price="5")
    few = queries(reader, f"/orders/{order.pk}/")
    for _ in range(28):
        make_fill(order, qty="1", price="5")
        OrderEvent.objects.create(order=order, at=NOW, kind="fill", text="x", actor="ops")
    assert queries(reader, f"/orders/{order.pk}/") == few


def test_an_unknown_order_is_not_found(reader):
    assert reader.get("/orders/12345/").status_code == 404


def test_writing_methods_are_refused(reader):
    assert reader.post("/orders/").status_code == 405
