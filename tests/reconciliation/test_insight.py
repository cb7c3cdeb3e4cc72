"""What the differences of a period tell, and that it is counted right."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from broker.models import Account
from reconciliation.insight import (
    OTHERS,
    EndedBy,
    Sighting,
    by_day,
    by_kind,
    days_until,
    ends_of,
    spread_of,
    worst_symbols,
)
from reconciliation.sightings import sightings_since
from tests.factories import make_account
from tests.reconciliation.rows import csv_rows, make_cause, make_drift, make_fix, make_run, page
from tests.reconciliation.steps import backfill_all, open_books, placed, reconcile
from tests.simulation import SimAccount

PATH = "/insight/"
NOON = datetime(2025, 11, 10, 17, tzinfo=UTC)


def sighting(**fields: Any) -> Sighting:
    wanted = {
        "pk": 1,
        "kind": "missing_fill",
        "title": "Fill missing",
        "symbol": "QCOM",
        "severity": "high",
        "dollars": Decimal(10),
        "is_of_evidence": False,
        "first_seen_at": NOON,
        "happened_at": None,
    }
    return Sighting(**{**wanted, **fields})


# --- Pure -----------------------------------------------------------------------------------------------------


def test_the_middle_and_the_ninth_tenth() -> None:
    minutes = [timedelta(minutes=number) for number in (10, 1, 2, 3, 4, 5, 6, 7, 8, 9)]
    found = spread_of([*minutes, None])
    assert (found.count, found.median, found.p90) == (10, timedelta(minutes=5.5), timedelta(minutes=9))
    assert spread_of([]).median is None
    assert spread_of([timedelta(hours=2)]).p90 == timedelta(hours=2)


@given(st.lists(st.timedeltas(min_value=timedelta(0)), min_size=1, max_size=40))
def test_nine_of_ten_are_within_the_ninth_tenth(durations: list[timedelta]) -> None:
    found = spread_of(durations)
    assert found.median is not None
    assert found.p90 is not None
    assert min(durations) <= found.median <= max(durations)
    assert found.p90 in durations
    assert sum(duration <= found.p90 for duration in durations) * 10 >= len(durations) * 9


def test_time_to_detect_counts_only_what_is_known_and_possible() -> None:
    assert sighting(happened_at=NOON - timedelta(minutes=4)).detection == timedelta(minutes=4)
    assert sighting().detection is None
    assert sighting(happened_at=NOON + timedelta(minutes=1)).detection is None


def test_days_are_those_of_new_york() -> None:
    late = datetime(2025, 11, 11, 2, tzinfo=UTC)  # still the tenth in New York
    days = days_until(date(2025, 11, 11), 3)
    assert days == [date(2025, 11, 9), date(2025, 11, 10), date(2025, 11, 11)]
    assert by_day([sighting(first_seen_at=late)], days) == [("Fill missing", [0, 1, 0])]


def test_what_is_rare_is_counted_together() -> None:
    many = [sighting(title=f"Kind {kind}") for kind in range(7) for _ in range(8 - kind)]
    counted = dict(by_day(many, [NOON.date()]))
    assert list(counted) == ["Kind 0", "Kind 1", "Kind 2", "Kind 3", OTHERS]
    assert counted[OTHERS] == [4 + 3 + 2]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=40))
def test_every_sighting_of_the_period_stands_in_the_chart_once(drawn: list[tuple[int, int]]) -> None:
    days = days_until(NOON.date(), 5)
    found = [sighting(title=f"Kind {kind}", first_seen_at=NOON - timedelta(days=back)) for kind, back in drawn]
    counted = by_day(found, days)
    assert sum(sum(counts) for _, counts in counted) == len(found)
    assert all(len(counts) == len(days) for _, counts in counted)


def test_a_failed_read_is_no_repair() -> None:
    found = [
        sighting(ended_by=EndedBy.POLICY, ended_at=NOON),
        sighting(ended_by=EndedBy.PERSON, ended_at=NOON),
        sighting(ended_by=EndedBy.PERSON, ended_at=NOON),
        sighting(ended_by=EndedBy.ITSELF, ended_at=NOON),
        sighting(),
        sighting(ended_by=EndedBy.ITSELF, ended_at=NOON, is_of_evidence=True),
    ]
    ends = ends_of(found)
    assert (ends.by_policy, ends.by_person, ends.by_itself, ends.still_open) == (1, 2, 1, 1)
    assert ends.automatic_share is not None
    assert round(ends.automatic_share, 2) == Decimal("33.33")
    assert ends_of([]).automatic_share is None


def test_the_worst_symbol_comes_first_and_nameless_ones_not_at_all() -> None:
    found = [
        sighting(symbol="NVDA"),
        sighting(symbol="QCOM", dollars=Decimal(500)),
        sighting(symbol="ACGL", ended_at=NOON),
        sighting(symbol="ACGL"),
        sighting(symbol="", title="The read is incomplete"),
    ]
    worst = worst_symbols(found)
    assert [(story.name, story.count, story.still_open) for story in worst] == [
        ("ACGL", 2, 1), ("QCOM", 1, 1), ("NVDA", 1, 1),
    ]  # fmt: skip
    assert worst_symbols(found, most=1) == worst[:1]
    assert {story.name: story.count for story in by_kind(found)} == {"Fill missing": 4, "The read is incomplete": 1}


# --- From the rows --------------------------------------------------------------------------------------------


@pytest.fixture
def account(db: None) -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def trader(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.trader)
    return client


@pytest.mark.parametrize(
    ("approved_by", "state", "ended_by"),
    [("ops", "verified", "person"), ("system:policy", "verified", "policy"), ("", "withdrawn", "itself"),
     ("ops", "undone", "person")],
)  # fmt: skip
def test_who_ended_it_is_told_from_its_fix(account: Account, approved_by: str, state: str, ended_by: str) -> None:
    at = timezone.now()
    run, later = make_run(account, finished_at=at), at + timedelta(minutes=9)
    verified_at = later if approved_by else None
    fix = make_fix(run, "QCOM", state=state, approved_by=approved_by, verified_at=verified_at)
    fills = [{"id": "a", "transaction_time": (at - timedelta(minutes=2)).isoformat()}]
    make_drift(run, "QCOM", fix=fix, state="resolved", resolved_at=later, evidence={"fills": fills})
    (found,) = sightings_since(account, timezone.now() - timedelta(days=1))
    assert found.ended_by == ended_by
    assert found.ended_at == later
    assert found.detection == timedelta(minutes=2)


def test_a_whole_repair_is_told(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1")
    reconcile(sim_account)
    (seen,) = sightings_since(sim_account, timezone.now() - timedelta(days=1))
    assert seen.is_open
    backfill_all(sim_account, actor="ops")
    (ended,) = sightings_since(sim_account, timezone.now() - timedelta(days=1))
    assert ended.ended_by == EndedBy.PERSON
    assert ended.repair is not None
    assert ended.repair > timedelta(0)
    assert ended.happened_at is not None


# --- The page -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_logged_out_are_sent_to_log_in(client: Client) -> None:
    assert client.get(PATH)["Location"].startswith("/accounts/login/")


def test_the_page_tells_the_period_that_its_address_names(trader: Client, account: Account) -> None:
    make_cause(make_run(account), "QCOM")
    old = make_run(account, finished_at=timezone.now() - timedelta(days=20))
    make_cause(old, "NVDA")
    week, month = page(trader, f"{PATH}?days=7"), page(trader, PATH)
    assert "QCOM" in week
    assert "NVDA" not in week
    assert "NVDA" in month
    assert "<svg" in week
    assert "last 30 days" in page(trader, f"{PATH}?days=1000000")
    rows = csv_rows(trader, f"{PATH}?days=90&format=csv")
    assert rows[0].startswith("drift,kind,severity,symbol,dollars,happened_at,first_seen_at,detection_seconds")
    assert len(rows) == 3


def test_nothing_seen_and_nothing_looked_at_are_two_things(trader: Client, account: Account) -> None:
    assert "none has ended yet" in page(trader, PATH)
    make_run(account, state="in_sync")
    assert "found database and Alpaca in step" in page(trader, PATH)


def test_only_failed_reads_have_no_worst_symbol(trader: Client, account: Account) -> None:
    make_drift(make_run(account), "", key="incomplete_read:sim", kind="incomplete_read", group="evidence")
    text = page(trader, PATH)
    assert "No symbol was touched" in text
    assert "1 of them failed read<" in text or "1 of them failed read" in text


def test_the_page_costs_the_same_for_many_differences(trader: Client, account: Account) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            page(trader, f"{PATH}?days=90")
        return len(found)

    run = make_run(account)
    make_cause(run, "QCOM")
    page(trader, PATH)
    few = queries()
    for number in range(60):
        make_cause(run, f"S{number}")
    assert queries() == few
