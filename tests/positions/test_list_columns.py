"""The list of positions: distances to stop and target, and the round trips of closed positions with their result."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.factories import NOW
from tests.positions.test_pages import csv_rows, make_drift, make_position


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


def make_closed(symbol="IBKR", **fields):
    """Ten entered at 100 and left at 104, a stop at 92: +40, half an R, four percent."""
    defaults = {
        "state": "closed",
        "qty": "0",
        "cost_basis": "0",
        "avg_exit_price": "104",
        "realized_pl": "40",
        "closed_at": NOW + timedelta(days=2, hours=3),
    }
    position = make_position(symbol, **{**defaults, **fields})
    position.refresh_from_db()
    return position


def shown(client, query):
    return {name for name, is_shown in client.get(f"/positions/?{query}").context["listing"].shows.items() if is_shown}


def test_distances_are_percent_of_the_last_price_long_and_short(reader):
    make_position("LONG", last_price="115", stop_loss="92", target="138")
    make_position("SHORT", side="short", qty="-10", last_price="100", stop_loss="108", target="84")
    make_position("BEYOND", last_price="90", stop_loss="92", target="116")
    make_position("BLIND", last_price=None)
    rows = {row["symbol"]: row for row in csv_rows(reader.get("/positions/?format=csv"))}
    assert (rows["LONG"]["stop_distance"], rows["LONG"]["target_distance"]) == ("20.0000", "20.0000")
    assert (rows["SHORT"]["stop_distance"], rows["SHORT"]["target_distance"]) == ("8.0000", "16.0000")
    assert Decimal(rows["BEYOND"]["stop_distance"]) == Decimal("-2.2222")
    assert rows["BLIND"]["stop_distance"] == ""


@pytest.mark.parametrize(
    ("sort", "symbols"),
    [
        ("stop_distance", ["BEYOND", "SHORT", "LONG", "BLIND"]),
        ("-stop_distance", ["LONG", "SHORT", "BEYOND", "BLIND"]),
        ("target_distance", ["SHORT", "LONG", "BEYOND", "BLIND"]),
    ],
)
def test_it_sorts_by_distance_with_the_unknown_last(reader, sort, symbols):
    make_position("LONG", last_price="115", stop_loss="92", target="138")
    make_position("SHORT", side="short", qty="-10", last_price="100", stop_loss="108", target="84")
    make_position("BEYOND", last_price="90", stop_loss="92", target="116")
    make_position("BLIND", last_price=None)
    listing = reader.get(f"/positions/?sort={sort}").context["listing"]
    assert [row.position.symbol for row in listing.rows] == symbols


def test_each_distance_is_drawn_and_said_in_words(reader):
    make_position("QCOM", last_price="115", stop_loss="92", target="138")
    text = reader.get("/positions/?status=open").content.decode()
    assert 'class="level-bar"' in text
    assert "QCOM: stop 92.00, last 115.00, target 138.00; 20.00 % to the stop, 20.00 % to the target" in text


def test_without_a_stop_nothing_is_drawn(reader):
    make_position("QCOM", stop_loss=None, total_risk=None)
    text = reader.get("/positions/?status=open").content.decode()
    assert 'class="level-bar"' not in text
    assert "no stop" in text


def test_open_and_closed_positions_have_the_columns_that_fit_them(reader):
    assert {"stop_distance", "total_risk", "unrealized_pl"} <= shown(reader, "status=open")
    assert not {"r_multiple", "avg_exit_price", "status"} & shown(reader, "status=open")
    assert {"r_multiple", "avg_exit_price", "realized_pl_pct", "closed_at"} <= shown(reader, "status=closed")
    assert not {"last_price", "unrealized_pl", "stop_distance"} & shown(reader, "status=closed")


def test_a_closed_round_trip_shows_its_result_in_dollars_percent_and_r(reader):
    make_closed()
    text = reader.get("/positions/?status=closed").content.decode()
    for part in ("+40.00", "4.00 %", "+0.50 R", "2 d 3 h", "104.00", "80.00"):
        assert part in text
    (row,) = csv_rows(reader.get("/positions/?status=closed&format=csv"))
    assert (row["realized_pl_pct"], row["r_multiple"], row["initial_risk"]) == ("4.0000", "0.5000", "80")
    assert row["age_seconds"] == str((2 * 24 + 3) * 3600)


def test_the_risk_of_all_that_was_entered_measures_the_result(reader):
    """A row that was last seen half exited knows the risk of that half only."""
    position = make_closed(total_risk="40")
    assert (position.initial_risk, position.r_multiple) == (80, Decimal("0.5"))


@pytest.mark.parametrize("fields", [{"risk_per_share": None}, {"risk_per_share": "0"}])
def test_without_a_known_risk_there_is_no_r(reader, fields):
    assert make_closed(**fields).r_multiple is None


def test_an_entry_that_was_never_filled_has_no_result(reader):
    position = make_closed(opened_at=None, entry_qty="0", avg_entry_price=None, realized_pl="0", risk_per_share=None)
    assert {position.r_multiple, position.realized_pl_fraction, position.held_seconds} == {None}
    assert reader.get("/positions/?status=closed").status_code == 200


def test_totals_of_closed_round_trips_count_wins_and_add_up_r(reader):
    make_closed("WON", realized_pl="120")
    make_closed("LOST", realized_pl="-80")
    make_closed("EVEN", realized_pl="0")
    make_closed("UNMEASURED", realized_pl="1000", risk_per_share=None)
    response = reader.get("/positions/?status=closed")
    totals = response.context["totals"]
    assert (totals.won, totals.lost, totals.realized_pl) == (2, 1, 1040)
    assert totals.r_multiple == Decimal(40) / Decimal(240)
    assert "2 won, 1 lost" in response.content.decode()


@pytest.mark.parametrize("query", ["status=open", "status=closed", "columns=qty", "columns=r_multiple,stop_distance"])
def test_every_row_has_a_cell_for_every_head(reader, query):
    make_position("QCOM", is_estimated=True)
    make_closed(is_estimated=True)
    make_drift("QCOM")
    text = reader.get(f"/positions/?{query}").content.decode()
    table = text[text.index('<table class="table table-sticky"') : text.index("</table>")]
    rows = [row.count("<td") + row.count("<th") for row in table.split("<tr")[1:]]
    assert len(set(rows)) == 1, rows


def test_an_estimate_stands_before_its_number(reader):
    make_position("QCOM", is_estimated=True)
    text = reader.get("/positions/?status=open").content.decode()
    assert "est.</abbr>100.00</td>" in text.replace("\n", "")


def test_it_sorts_by_age_up_to_the_close_or_to_now(reader):
    make_position("LONG", opened_at=NOW - timedelta(days=9))
    make_position("NEW", opened_at=NOW + timedelta(days=1))
    make_closed("SHORT", opened_at=NOW, closed_at=NOW + timedelta(seconds=90))
    make_closed("SHORTER", opened_at=NOW - timedelta(days=99), closed_at=NOW - timedelta(days=99, seconds=-89))
    symbols = ["LONG", "NEW", "SHORT", "SHORTER"]
    for sort, wanted in (("-age_seconds", symbols), ("age_seconds", symbols[::-1])):
        listing = reader.get(f"/positions/?sort={sort}").context["listing"]
        assert [row.position.symbol for row in listing.rows] == wanted
