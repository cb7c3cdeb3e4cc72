"""The positions list and the page of one position."""

import csv
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from positions.adding_up import totals
from positions.listing import lines_of, position_rows
from positions.models import Position
from positions.rebuilding import rebuild_position
from reconciliation.models import Drift, Run
from tests.factories import NOW, make_account, make_adjustment, make_fill, make_order

HTMX = {"HX-Request": "true"}


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


def make_position(symbol="QCOM", **fields):
    defaults = {
        "account": fields.pop("account", None) or make_account(),
        "symbol": symbol,
        "sequence": 1,
        "state": "open",
        "side": "long",
        "qty": "10",
        "entry_qty": "10",
        "avg_entry_price": "100",
        "cost_basis": "1000",
        "realized_pl": "0",
        "opened_at": NOW,
        "stop_loss": "92",
        "target": "116",
        "risk_per_share": "8",
        "total_risk": "80",
        "last_price": "101.5",
        "last_price_at": NOW,
        "rebuilt_at": NOW,
    }
    return Position.objects.create(**{**defaults, **fields})


def make_drift(symbol, account=None, **fields):
    account = account or make_account()
    run = Run.objects.create(account=account, trigger="demand", state="drift", requested_by="ops", requested_at=NOW)
    defaults: dict[str, Any] = {
        "key": f"position_qty:{symbol}",
        "kind": "position_qty",
        "group": "positions",
        "severity": "critical",
    }
    defaults |= {"sentence": f"{symbol} differs.", "local": {}, "broker": {}, "first_run": run, "last_run": run}
    return Drift.objects.create(
        account=account, symbol=symbol, first_seen_at=NOW, last_seen_at=NOW, **{**defaults, **fields}
    )


def csv_rows(response):
    return list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))


def test_logged_out_people_are_sent_to_the_log_in(client, db):
    response = client.get("/positions/")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_list_shows_figures_totals_and_counts(reader):
    make_position("QCOM", last_price="110")
    make_position("GME", side="short", qty="-20", cost_basis="-500", avg_entry_price="25", last_price="26.005")
    make_position("IBKR", state="closed", qty="0", cost_basis="0", realized_pl="479.25", closed_at=NOW)
    text = reader.get("/positions/").content.decode()
    assert "+100.00" in text
    assert "−20.10" in text
    assert "−520.10" in text
    assert "+479.25" in text
    assert "of 3 positions" in text
    assert 'Open <span class="count">2</span>' in text
    assert 'Closed <span class="count">1</span>' in text


def test_totals_are_exact_and_count_what_is_unknown(db):
    tenth = Decimal("0.1")
    for symbol, qty, price in (("A", tenth, tenth), ("B", 2 * tenth, tenth), ("C", Decimal(5), None)):
        realized = Decimal(0) if price is None else qty
        make_position(symbol, qty=qty, last_price=price, cost_basis="0", realized_pl=realized, total_risk=None)
    found = totals(Position.objects.all())
    assert found.market_value == Decimal("0.03")
    assert found.realized_pl == Decimal("0.3")
    assert found.without_price == 1
    assert found.without_risk == 3


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("", ["AAPL", "GME", "QCOM", "X"]),
        ("status=open", ["GME", "QCOM"]),
        ("status=pending", ["AAPL"]),
        ("status=closed", ["X"]),
        ("status=nonsense", []),
        ("side=short", ["GME"]),
        ("symbol=qcom", ["QCOM"]),
        ("symbol=Q", []),
        ("q=com", ["QCOM"]),
        ("drift=yes", ["GME"]),
        ("sort=-symbol", ["X", "QCOM", "GME", "AAPL"]),
        ("sort=total_risk", ["GME", "QCOM", "AAPL", "X"]),
        ("sort=-total_risk", ["QCOM", "GME", "X", "AAPL"]),
    ],
)
def test_filters_and_sorting_by_the_query_string_are_the_same_in_page_and_csv(reader, query, symbols):
    nothing = {"total_risk": None, "stop_loss": None, "target": None, "risk_per_share": None}
    make_position("QCOM", total_risk="100")
    make_position("GME", side="short", qty="-20", total_risk="9")
    make_position("AAPL", state="pending", qty="0", opened_at=None, **nothing)
    make_position("X", state="closed", qty="0", closed_at=NOW, **nothing)
    make_drift("GME")
    page = reader.get(f"/positions/?{query}")
    assert [row.position.symbol for row in page.context["listing"].rows] == symbols
    assert [row["symbol"] for row in csv_rows(reader.get(f"/positions/?{query}&format=csv"))] == symbols


def test_csv_has_the_field_names_and_plain_numbers(reader):
    make_position("GME", side="short", qty="-20", realized_pl="-12.5", cost_basis="-500", last_price="26.005")
    response = reader.get("/positions/?format=csv")
    assert response["Content-Disposition"] == 'attachment; filename="positions.csv"'
    (row,) = csv_rows(response)
    assert row["qty"] == "-20"
    assert row["realized_pl"] == "-12.5"
    assert Decimal(row["market_value"]) == Decimal("-520.1")
    assert row["opened_at"] == "2025-11-07T14:30:00Z"
    assert {"avg_entry_price", "stop_loss", "target", "risk_per_share", "total_risk", "unrealized_pl"} <= row.keys()


def test_csv_gives_all_rows_not_one_page(reader):
    for number in range(130):
        make_position(f"S{number:03}")
    assert len(csv_rows(reader.get("/positions/?format=csv&page=2"))) == 130
    assert len(reader.get("/positions/?page=2").context["listing"].rows) == 50


def test_htmx_gets_the_table_alone(reader):
    make_position("QCOM")
    text = reader.get("/positions/", headers=HTMX).content.decode()
    assert text.lstrip().startswith('<div class="stack" id="positions"')
    assert "<html" not in text


def test_three_kinds_of_empty(reader):
    assert 'data-empty="none"' in reader.get("/positions/").content.decode()
    make_position("QCOM")
    text = reader.get("/positions/?status=closed").content.decode()
    assert 'data-empty="no-match"' in text
    assert "Clear filters" in text


def test_estimates_and_missing_stops_are_marked(reader):
    make_position("QCOM", is_estimated=True, stop_loss=None, total_risk=None)
    text = reader.get("/positions/").content.decode()
    assert '<abbr class="estimate"' in text
    assert "no stop" in text


def test_drift_of_a_symbol_is_marked_until_it_is_resolved(reader):
    make_position("QCOM")
    drift = make_drift("QCOM")
    (row,) = lines_of(position_rows(make_account(), QueryDict("")))
    assert row.drifts == 1
    Drift.objects.filter(pk=drift.pk).update(state="resolved")
    (row,) = lines_of(position_rows(make_account(), QueryDict("")))
    assert row.drifts == 0


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_list_asks_the_same_number_of_queries_for_2_and_30_rows(reader, query):
    for number in range(2):
        make_position(f"S{number}")
    few = count_queries(reader, f"/positions/{query}")
    for number in range(2, 30):
        make_position(f"S{number}", is_estimated=True)
        make_drift(f"S{number}")
    assert count_queries(reader, f"/positions/{query}") == few


def test_position_page_shows_ledger_with_reasons_orders_and_drift(reader):
    account = make_account()
    make_adjustment(account, symbol="FTNT", qty="58", price="86", is_estimated=True, reason="Stand-in price.")
    order = make_order(account, symbol="FTNT", side="sell", qty="58", status="filled", filled_qty="58")
    make_fill(order, qty="18", price="85.5")
    rebuild_position(account=account, symbol="FTNT", now=NOW)
    make_drift("FTNT")
    position = Position.objects.get(symbol="FTNT")
    text = reader.get(position.get_absolute_url()).content.decode()
    assert "Stand-in price." in text
    assert "Opening balance" in text
    assert "FTNT differs." in text
    assert order.get_absolute_url() in text
    assert order.fills.get().activity_id in text
    assert [line.held for line in reader.get(position.get_absolute_url()).context["ledger"]] == [58, 40]


def test_a_fill_that_flips_shows_each_round_trip_its_own_part(reader):
    account = make_account()
    make_fill(account=account, symbol="GME", side="buy", qty="10", price="20", at=NOW)
    make_fill(account=account, symbol="GME", side="sell", qty="15", price="21")
    rebuild_position(account=account, symbol="GME", now=NOW)
    first, second = Position.objects.filter(symbol="GME").order_by("sequence")
    assert [(line.qty, line.held) for line in ledger(reader, first)] == [(10, 10), (-10, 0)]
    assert [(line.qty, line.held) for line in ledger(reader, second)] == [(-5, -5)]


def ledger(reader, position):
    return reader.get(position.get_absolute_url()).context["ledger"]


def test_position_page_asks_the_same_number_of_queries_for_2_and_30_rows(reader):
    account = make_account()
    for _ in range(2):
        make_fill(account=account, symbol="QCOM", qty="1", price="10")
    rebuild_position(account=account, symbol="QCOM", now=NOW)
    path = Position.objects.get().get_absolute_url()
    few = count_queries(reader, path)
    for _ in range(28):
        make_fill(account=account, symbol="QCOM", qty="1", price="10")
    rebuild_position(account=account, symbol="QCOM", now=NOW)
    assert count_queries(reader, path) == few


def test_the_frame_of_a_position_is_that_of_its_account(reader):
    paper = make_account("paper", environment="paper")
    position = make_position("QCOM", account=paper)
    text = reader.get(position.get_absolute_url()).content.decode()
    assert 'class="band band-paper"' in text
    assert "band-sim" in reader.get("/positions/").content.decode()


def test_an_unknown_position_is_not_found(reader):
    assert reader.get(reverse("positions:position", args=[12345])).status_code == 404


def read(client, path):
    response = client.get(path)
    assert response.status_code == 200
    return b"".join(response.streaming_content) if response.streaming else response.content


def count_queries(client, path):
    with CaptureQueriesContext(connection) as captured:
        read(client, path)
    return len(captured)
