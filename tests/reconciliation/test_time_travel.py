"""What a run saw is kept, looks later as it looked then, and goes in time."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from broker.models import Account, AccountSnapshot
from reconciliation.comparison import compare
from reconciliation.kinds import Kind
from reconciliation.models import Run, RunSnapshot
from reconciliation.picture import snapshot_of
from reconciliation.snapshots import KEEP_EVERY_PICTURE, prune_pictures
from reconciliation.tasks import thin_out
from reconciliation.time_travel import Sheet, sheets_of, symbols_in
from tests.factories import make_account
from tests.reconciliation.rows import make_run
from tests.reconciliation.steps import backfill_all, open_books, placed, reconcile
from tests.reconciliation.worlds import World, inventions, record_of, worlds
from tests.simulation import SimAccount

# --- Pure -----------------------------------------------------------------------------------------------------


def picture(world: World, lags: dict[str, str], extra: Any = None, **options: Any) -> dict[str, Any]:
    """The picture as it comes out of the database."""
    made = snapshot_of(world.evidence(), record_of(world, lags, extra), **options)
    return json.loads(json.dumps(made))


def marked(sheets: list[Sheet]) -> set[str]:
    return {line.symbol for sheet in sheets for line in sheet.lines if line.differs}


@given(drawn=worlds(), extra=inventions())
def test_the_picture_marks_the_symbols_that_the_run_found_to_differ(
    drawn: tuple[World, dict[str, str]], extra: dict[str, Any]
) -> None:
    world, lags = drawn
    found = compare(record_of(world, lags, extra), world.evidence())
    # Of what is wrong on both sides alike there is nothing to mark, and the picture has no prices of orders.
    found = [difference for difference in found if difference.kind not in {Kind.POSITION_DUST, Kind.TERMS_DIFFER}]
    shown = picture(world, lags, extra)
    sheets = sheets_of(shown["local"], shown["broker"])
    in_motion = {fact.symbol for fact in record_of(world, lags, extra).orders if fact.is_in_flight}
    assert marked(sheets) - in_motion == {difference.symbol for difference in found} - in_motion
    assert marked(sheets) >= {difference.symbol for difference in found}


@given(drawn=worlds(), most=st.integers(0, 4))
def test_a_bounded_picture_shows_no_difference_that_there_was_not(
    drawn: tuple[World, dict[str, str]], most: int
) -> None:
    world, _ = drawn
    shown = picture(world, {}, most_ended=most)
    assert not marked(sheets_of(shown["local"], shown["broker"]))
    alive = {order.broker_order_id for order in world.orders if order.status in {"new", "partially_filled"}}
    assert {order["broker_order_id"] for order in shown["broker"]["orders"]} == alive
    assert len(shown["broker"]["ended_orders"]) <= most
    assert len(shown["broker"]["fills"]) <= most
    assert shown["broker"]["fills_left_out"] == len(world.fills) - len(shown["broker"]["fills"])


@given(drawn=worlds())
def test_one_symbol_shows_only_its_own_lines(drawn: tuple[World, dict[str, str]]) -> None:
    shown = picture(*drawn)
    sides = shown["local"], shown["broker"]
    whole = {sheet.name: sheet.total for sheet in sheets_of(*sides)}
    parts = [sheets_of(*sides, symbol=symbol) for symbol in symbols_in(*sides)]
    assert whole == {name: sum(s.total for part in parts for s in part if s.name == name) for name in whole}


# --- Kept -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_complete_run_keeps_both_sides_and_they_do_not_move_with_the_books(
    sim_account: Account, sim: SimAccount
) -> None:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1", symbol="NVDA")
    run = reconcile(sim_account)
    assert run.state == Run.State.DRIFT
    backfill_all(sim_account)
    kept = RunSnapshot.objects.get(run=run)
    positions = {line.symbol: line for line in sheets_of(kept.local, kept.broker)[0].lines}
    assert (positions["NVDA"].pairs[0].database, positions["NVDA"].pairs[0].broker) == ("", "10")
    last = RunSnapshot.objects.filter(run__account=sim_account).order_by("run_id").last()
    assert last is not None
    assert not marked(sheets_of(last.local, last.broker))
    assert Decimal(last.broker["money"]["equity"]) > 0


@pytest.mark.django_db
def test_an_incomplete_run_keeps_no_picture_and_says_how_far_it_came(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1")
    sim.fault("status", "GET", "/v2/positions", times=9, status=503)
    run = reconcile(sim_account)
    assert run.state == Run.State.INCOMPLETE
    assert not RunSnapshot.objects.filter(run=run).exists()
    (reading,) = run.completeness["readings"]
    assert reading["lists"]["orders"]["rows"] == 1
    assert reading["broken_off"]["name"] == "positions"


@pytest.mark.django_db
def test_a_run_that_found_drift_keeps_the_proof_of_both_readings(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1")
    run = reconcile(sim_account)
    # The position is a new riddle at no time: its order explains it, so two readings are enough.
    assert len(run.completeness["readings"]) == 2
    for reading in run.completeness["readings"]:
        assert set(reading["lists"]) >= {"open_orders", "orders", "activities", "positions"}
        assert "broken_off" not in reading


@pytest.mark.django_db
def test_old_pictures_go_but_the_last_of_each_day_and_those_with_drift() -> None:
    account, now = make_account(), timezone.now().replace(hour=18)
    old = now - KEEP_EVERY_PICTURE - timedelta(days=2)
    moments = [
        ("drift", old),
        ("in_sync", old + timedelta(minutes=1)),
        ("in_sync", old + timedelta(minutes=2)),
        ("in_sync", old + timedelta(days=1)),
        ("in_sync", now - timedelta(days=1)),
        ("in_sync", now - timedelta(days=1, minutes=1)),
    ]
    runs = [make_run(account, state=state, finished_at=at) for state, at in moments]
    for run, (_, at) in zip(runs, moments, strict=True):
        RunSnapshot.objects.create(run=run, taken_at=at, local={}, broker={})
    assert prune_pictures(account=account, now=now) == 1
    left = set(RunSnapshot.objects.values_list("run_id", flat=True))
    assert left == {run.pk for run in runs} - {runs[1].pk}
    assert prune_pictures(account=account, now=now) == 0


@pytest.mark.django_db
def test_each_night_old_figures_and_old_pictures_go() -> None:
    account, now = make_account(), timezone.now().replace(hour=18)
    for minutes in (0, 1):
        at = now - timedelta(days=40, minutes=minutes)
        run = make_run(account, state="in_sync", finished_at=at)
        RunSnapshot.objects.create(run=run, taken_at=at, local={}, broker={})
        money = dict.fromkeys(
            ("equity", "last_equity", "cash", "buying_power", "long_market_value", "short_market_value"), Decimal(1)
        )
        AccountSnapshot.objects.create(
            account=account, read_at=at, market_is_open=True, next_open=at, next_close=at, **money
        )
    assert thin_out().startswith("1 figures, 1 pictures of runs and ")
    assert (RunSnapshot.objects.count(), AccountSnapshot.objects.count()) == (1, 1)
