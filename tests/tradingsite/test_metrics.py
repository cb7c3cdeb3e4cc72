"""What Prometheus is told: the right numbers, in its format, for a constant price."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ
from prometheus_client.parser import text_string_to_metric_families

from alerts.models import Alert
from broker.models import Account, RequestBudget, StreamState
from orders.models import Order
from reconciliation.models import Drift, Run
from tests.factories import make_account, make_order
from tradingsite.metrics import exposition, quantiles

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 5, 15, 0, tzinfo=UTC)


def told(now: datetime = NOW) -> dict[tuple[str, tuple[str, ...]], float]:
    """Name and values of the labels, without the prefix."""
    families = text_string_to_metric_families(exposition(now).decode())
    return {
        (sample.name.removeprefix("tradingsite_"), tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def make_run(account: Account, *, seconds: float, at: datetime, state: str = "drift") -> Run:
    return Run.objects.create(
        account=account, trigger="demand", state=state, requested_by="ops", requested_at=at, started_at=at,
        finished_at=at + timedelta(seconds=seconds), api_calls=7,
    )  # fmt: skip


def make_drift(account: Account, number: int, **fields: Any) -> Drift:
    run = make_run(account, seconds=1, at=ago(hours=2))
    values = {
        "key": f"missing_fill:{number}", "kind": "missing_fill", "group": "fills", "severity": "high", "local": {},
        "broker": {}, "sentence": "s", "dollars": Decimal("10.5"), "first_seen_at": ago(minutes=number),
        "last_seen_at": NOW, "first_run": run, "last_run": run,
    }  # fmt: skip
    return Drift.objects.create(account=account, **{**values, **fields})


def test_orders_and_how_long_sending_took() -> None:
    for seconds in (0.2, 0.3, 4.0):
        make_order(claimed_at=ago(minutes=5), confirmed_at=ago(minutes=5) + timedelta(seconds=seconds))
    make_order(claimed_at=ago(days=3), confirmed_at=ago(days=2))
    make_order(submission_state="unconfirmed", unconfirmed_at=ago(seconds=90))
    numbers = told()
    assert numbers["orders", ("confirmed",)] == 4
    assert numbers["orders", ("unconfirmed",)] == 1
    assert numbers["orders_by_status", ("new",)] == 4
    assert numbers["oldest_unconfirmed_seconds", ()] == 90
    assert numbers["submit_latency_seconds", ("0.5",)] == pytest.approx(0.3)
    assert numbers["submit_latency_seconds", ("0.99",)] == pytest.approx(4.0)


def test_drift_by_kind_with_dollars_and_age() -> None:
    account = make_account()
    for number in (3, 40):
        make_drift(account, number)
    make_drift(account, 5, state="resolved", resolved_at=ago(minutes=1))
    Alert.objects.create(
        key="k", kind="drift", severity="high", sentence="s", link="/", first_seen_at=NOW, last_seen_at=NOW
    )
    numbers = told()
    assert numbers["open_drifts", ("missing_fill",)] == 2
    assert numbers["open_drift_dollars", ("missing_fill",)] == 21
    assert numbers["time_in_drift_seconds", ("missing_fill",)] == 40 * 60
    assert numbers["drift_repaired_seconds", ("0.5",)] == 4 * 60
    assert numbers["open_alerts", ("high",)] == 1


def test_runs_of_each_account() -> None:
    for slug in ("one", "two"):
        account = make_account(slug)
        make_run(account, seconds=9, at=ago(hours=1))
        make_run(account, seconds=3, at=ago(minutes=1), state="in_sync")
    numbers = told()
    assert numbers["last_run_age_seconds", ("two", "in_sync")] == 57
    assert ("last_run_age_seconds", ("two", "drift")) not in numbers
    assert numbers["last_run_api_calls", ("one",)] == 7
    assert numbers["run_duration_seconds", ("0.95",)] == 9


def test_queue_budget_and_stream() -> None:
    account = make_account()
    OrmQ.objects.create(key="trading", payload="x", lock=ago(seconds=7))
    OrmQ.objects.create(key="trading", payload="x", lock=NOW + timedelta(minutes=5))
    RequestBudget.objects.create(
        account=account, window_started_at=ago(seconds=10), window_ends_at=NOW + timedelta(seconds=50), used=150
    )
    StreamState.objects.create(
        account=account, holder="a:1:1", connected_at=ago(hours=1), last_heard_at=ago(seconds=4), updated_at=NOW
    )
    numbers = told()
    assert numbers["queue_oldest_seconds", ()] == 7
    assert numbers["broker_requests_left", ("sim",)] == 50
    assert numbers["stream_lag_seconds", ("sim",)] == 4
    assert numbers["stream_is_live", ("sim",)] == 1
    RequestBudget.objects.update(blocked_until=NOW + timedelta(seconds=5))
    assert told()["broker_requests_left", ("sim",)] == 0


def test_it_costs_the_same_however_much_there_is() -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            exposition(timezone.now())
        return len(asked)

    make_run(make_account(), seconds=1, at=ago(minutes=1))
    few = questions()
    for number in range(10):
        account = make_account(f"account-{number}")
        make_run(account, seconds=1, at=ago(minutes=1))
        make_order(account)
        make_drift(account, number)
    assert questions() == few <= 18


def test_names_and_labels_from_outside_are_written_safely() -> None:
    Order.objects.filter(pk=make_order().pk).update(status='od"d\nword\\')
    assert told()["orders_by_status", ('od"d\nword\\',)] == 1


def test_a_stranger_is_told_numbers_and_nothing_else(client: Client) -> None:
    make_order(symbol="SECRETSYM")
    answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"SECRETSYM" not in answer.content


@pytest.mark.parametrize(("seconds", "median", "last"), [([5.0], 5.0, 5.0), (list(map(float, range(100))), 50.0, 99.0)])
def test_quantiles_are_values_that_were_measured(seconds: list[float], median: float, last: float) -> None:
    found = quantiles(seconds)
    assert (found[0.5], found[0.99]) == (median, last)
    assert quantiles([]) == {}
