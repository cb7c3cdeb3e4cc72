"""The overview: what is wrong and what is at risk come first, and what is not known is never taken for well."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Schedule

from broker.models import Account, TradingDay
from broker.times import NEW_YORK
from reconciliation.models import Fix
from tests.factories import make_account, make_batch, make_order
from tests.tradingsite.test_pages import make_drift, make_position, make_run, make_snapshot
from tradingsite.standing import next_check, open_causes


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


@pytest.fixture
def account(db):
    return make_account()


def text_of(client, path="/"):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def concerns(client):
    return [concern.text for concern in client.get("/").context["concerns"]]


def close_at(at):
    """Make that the close of today's session, whichever day this is."""
    Schedule.objects.get_or_create(name="x", func="reconciliation.tasks.reconcile_at_close")
    today = timezone.now().astimezone(NEW_YORK).date()
    for days in range(-12, 12):
        TradingDay.objects.update_or_create(
            day=today + timedelta(days=days), defaults={"read_at": at, "open_at": None, "close_at": None}
        )
    TradingDay.objects.filter(day=today).update(open_at=at - timedelta(hours=6), close_at=at)
    Account.objects.update(closed_through=today - timedelta(days=3))


# --- When is it checked again? ------------------------------------------------------------------------------


def test_without_anything_arranged_it_says_so(reader, account):
    assert next_check(account, timezone.now()) is None
    assert "No check is arranged." in text_of(reader)


def test_the_next_check_is_the_earliest_that_is_arranged(account):
    now = timezone.now()
    close_at(now + timedelta(hours=2))
    found: Any = next_check(account, now)
    assert (found.at, found.why, found.is_overdue) == (now + timedelta(hours=2), "at the close", False)
    make_batch(account, name="late.csv", state="finished", finished_at=now)
    found = next_check(account, now)
    assert found.why == "after late.csv"
    assert now <= found.at < now + timedelta(minutes=10)


def test_a_batch_that_was_checked_or_belongs_to_others_arranges_nothing(account):
    now = timezone.now()
    make_batch(account, state="finished", finished_at=now, reconciled_at=now)
    make_batch(account, state="released")
    make_batch(make_account("paper"), state="finished", finished_at=now)
    assert next_check(account, now) is None


def test_a_check_that_is_under_way_comes_before_all_others(reader, account):
    close_at(timezone.now() + timedelta(hours=2))
    make_run(account, "running", finished_at=None)
    found: Any = next_check(account, timezone.now())
    assert found.at is None
    assert "A check is under way (on demand)." in text_of(reader)


def test_a_check_that_nobody_makes_is_overdue(reader, account):
    close_at(timezone.now() - timedelta(minutes=6))
    assert "is overdue since" in text_of(reader)
    close_at(timezone.now() - timedelta(minutes=4))
    assert "is overdue since" not in text_of(reader)


# --- What is wrong or at risk? ------------------------------------------------------------------------------


def test_nothing_wrong_raises_no_concern(reader, account):
    make_position(account, "FINE", stop_loss="92", target="116")
    assert concerns(reader) == []


def test_a_position_beyond_its_stop_is_named_long_and_short(reader, account):
    make_position(account, "LONG", stop_loss="101", last_price="101")
    make_position(account, "SHORT", side="short", qty="-10", stop_loss="108", last_price="109")
    make_position(account, "SAFE", side="short", qty="-10", stop_loss="108", last_price="107.99")
    assert concerns(reader) == ["SHORT trades beyond its stop.", "LONG trades beyond its stop."]


def test_many_beyond_their_stops_are_counted(reader, account):
    for number in range(7):
        make_position(account, f"S{number}", stop_loss="200")
    assert len(concerns(reader)) == 6
    assert concerns(reader)[-1] == "7 positions trade beyond their stops."


def test_missing_stops_prices_and_answers_are_counted(reader, account):
    make_position(account, "NAKED", total_risk=None)
    make_position(account, "BLIND", last_price=None)
    for _ in range(2):
        make_order(account, submission_state="unconfirmed")
    assert concerns(reader) == [
        "1 open position has no stop: its risk is not known.",
        "2 orders were sent and nobody knows yet whether Alpaca has them.",
        "1 open position has no price: its value is not in the sums.",
    ]


@pytest.mark.parametrize(("state", "count"), [("open", 1), ("resolved", 0)])
def test_a_fix_that_was_not_verified_counts_while_its_difference_is_open(reader, account, state, count):
    drift = make_drift(account, "FTNT", state=state)
    empty: dict[str, Any] = {"plan": [], "before": {}, "broker": {}, "after": {}}
    drift.fix = Fix.objects.create(
        account=account, run=drift.first_run, key="k", action="import_order", is_safe_copy=True, state="failed",
        title="t", fingerprint="f", proposed_at=timezone.now(), **empty,
    )  # fmt: skip
    drift.save()
    assert len(concerns(reader)) == count


def test_the_positions_closest_to_their_stops_come_first(reader, account):
    for symbol, stop in (("FAR", "50"), ("NEAR", "100.5"), ("MID", "90"), ("NAKED", None)):
        make_position(account, symbol, stop_loss=stop, target="116")
    held = reader.get("/").context["held"]
    assert [position.symbol for position in held.nearest] == ["NEAR", "MID", "FAR"]
    assert "NEAR: stop 100.50, last 101.00, target 116.00; 0.50 % to the stop" in text_of(reader)


# --- Is the record right? -----------------------------------------------------------------------------------


def test_open_causes_come_gravest_first_with_what_follows_from_them(account):
    low = make_drift(account, "LOW", severity="low")
    high = make_drift(account, "HIGH", severity="high", dollars="5")
    root = make_drift(account, "ROOT", severity="low")
    make_drift(account, "CONSEQUENCE", key="c", cause=root, severity="critical")
    make_drift(account, "RESOLVED", state="resolved", severity="critical")
    assert [(cause.pk, cause.severity) for cause in open_causes(account)] == [
        (root.pk, "critical"),
        (high.pk, "high"),
        (low.pk, "low"),
    ]


def test_the_verdict_names_severities_with_dollars_and_the_fixes(reader, account):
    make_drift(account, "FTNT", dollars="4959")
    make_drift(account, "NVDA", severity="critical", dollars=None)
    text = text_of(reader)
    assert "Drift: 2 open differences" in text
    assert "$4,959.00 touched" in text
    assert "1 of unknown size" in text


@pytest.mark.parametrize(("environment", "word"), [("sim", "SIM"), ("paper", "PAPER"), ("live", "LIVE")])
def test_the_environment_stands_beside_the_title(reader, environment, word):
    make_account(environment, environment=environment)
    assert f'class="environment environment-{environment}">{word}<' in text_of(reader, f"/?account={environment}")


def test_the_market_and_the_stream_are_told_as_they_are(reader, account):
    text = text_of(reader)
    assert "not read, or too long ago" in text
    assert "not followed: sweeps only" in text
    make_snapshot(account, market_is_open=False)
    assert "<dd>closed</dd>" in text_of(reader)


def test_an_unknown_equity_gives_no_share(reader, account):
    make_position(account, "QCOM")
    held = reader.get("/").context["held"]
    assert (held.total_risk, held.risk_share) == (Decimal(80), None)


def test_the_overview_asks_the_same_number_of_queries_for_2_and_60_of_everything(reader, account):
    def fill(start, end):
        for number in range(start, end):
            make_position(account, f"S{number}", stop_loss="102", target="120")
            make_position(account, f"N{number}", total_risk=None, last_price=None)
            root = make_drift(account, f"S{number}")
            make_drift(account, f"F{number}", cause=root)
            make_order(account, batch=make_batch(account, created_at=timezone.now()), submission_state="unconfirmed")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            text_of(reader)
        return len(captured)

    make_snapshot(account)
    fill(0, 2)
    few = queries()
    fill(2, 60)
    assert queries() == few
