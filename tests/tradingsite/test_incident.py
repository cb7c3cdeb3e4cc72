"""The day of 6 November 2025, loaded: the database before, and what the simulator is told."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from broker.accounts import default_account
from orders.identity import is_ours
from positions.models import Adjustment, Position, RiskParameters
from reconciliation.models import ReadingCursor
from tradingsite.incident.loading import load_database, write_scenario
from tradingsite.incident.record import incident

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def scenario(tmp_path):
    return json.loads(write_scenario(tmp_path / "scenario.json", key_id="sim").read_text())["accounts"]["sim"]


@pytest.mark.django_db
def test_the_database_has_the_seventeen_positions_of_the_evening_before():
    account = default_account()
    assert load_database(account=account, now=timezone.now())
    positions = Position.objects.open().filter(account=account)
    assert positions.count() == 17
    assert all(position.is_estimated for position in positions)
    uber = positions.get(symbol="UBER")
    assert (uber.qty, uber.avg_entry_price) == (Decimal(130), Decimal("92.70"))
    opened = Adjustment.objects.values_list("effective_at", flat=True).distinct().get()
    assert opened == datetime(2025, 11, 5, 16, tzinfo=NEW_YORK)


@pytest.mark.django_db
def test_the_books_begin_that_morning_and_the_stand_ins_are_labelled():
    account = default_account()
    load_database(account=account, now=timezone.now())
    account.refresh_from_db()
    assert "stand-ins" in account.notice
    assert not account.is_bound
    cursor = ReadingCursor.objects.get(account=account)
    assert cursor.orders_read_to == cursor.activities_read_to == datetime(2025, 11, 6, tzinfo=NEW_YORK)
    assert cursor.import_finished_at is not None
    default = RiskParameters.objects.get(account=account, symbol="")
    assert (default.stop_loss_pct, default.target_pct) == (8, 16)


@pytest.mark.django_db
def test_books_that_have_anything_in_them_are_left_alone():
    account = default_account()
    load_database(account=account, now=timezone.now())
    ReadingCursor.objects.filter(account=account).update(import_rows=7)
    assert not load_database(account=account, now=timezone.now() + timedelta(days=1))
    assert Adjustment.objects.count() == 17
    assert ReadingCursor.objects.get(account=account).import_rows == 7


def test_the_simulator_gets_the_seven_orders_as_ours_within_the_six_minutes(scenario):
    orders = scenario["orders"]
    assert [order["symbol"] for order in orders] == ["QCOM", "NVDA", "ACGL", "HST", "DVN", "FTNT", "IBKR"]
    assert all(is_ours(order["client_order_id"]) for order in orders)
    day = incident()
    for order in orders:
        submitted = datetime.fromisoformat(order["submitted_at"])
        assert day.execution_started_at <= submitted < datetime.fromisoformat(order["filled_at"])
        assert datetime.fromisoformat(order["filled_at"]) <= day.execution_ended_at


def test_only_the_two_sells_are_labelled_as_stand_ins(scenario):
    labelled = {order["symbol"] for order in scenario["orders"] if order.get("subtag") == "stand-in price"}
    assert labelled == {"FTNT", "IBKR"}


def test_positions_and_orders_together_give_the_positions_of_the_record(scenario):
    held = {row["symbol"]: Decimal(row["qty"]) for row in scenario["positions"]}
    for order in scenario["orders"]:
        sign = 1 if order["side"] == "buy" else -1
        held[order["symbol"]] = held.get(order["symbol"], Decimal(0)) + sign * Decimal(order["qty"])
    assert len({symbol for symbol, qty in held.items() if qty}) == 20
    assert held["FTNT"] == held["IBKR"] == 0


def test_the_same_scenario_every_time(scenario, tmp_path):
    again = json.loads(write_scenario(tmp_path / "again.json", key_id="sim").read_text())
    assert again["accounts"]["sim"] == scenario
