"""What machines are told, without a log-in."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from broker.models import Account
from reconciliation.models import Run
from work.heartbeat import beat

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return Account.objects.create(slug="sim", name="Simulator")


def beats(*, ticker: float = 1, worker: float = 1) -> None:
    now = timezone.now()
    beat("ticker", now=now - timedelta(seconds=ticker))
    beat("worker", now=now - timedelta(seconds=worker))


def make_run(account: Account, state: str) -> Run:
    now = timezone.now()
    return Run.objects.create(
        account=account, trigger="demand", state=state, requested_by="ops", requested_at=now, finished_at=now
    )


def test_alive_asks_nobody_else(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert response["Cache-Control"].startswith("max-age=0")


def test_ready_while_a_worker_works(client, account):
    beats()
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["is_ready"] is True
    assert response.json()["last_runs"] == []


@pytest.mark.parametrize(
    ("silence", "missing"),
    [({"ticker": 20}, ["ticker"]), ({"worker": 50}, ["worker"]), ({"ticker": 20, "worker": 50}, ["ticker", "worker"])],
)
def test_not_ready_when_nobody_works(client, silence, missing):
    beats(**silence)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["queue"]["no_sign_of"] == missing


def test_not_ready_before_the_first_sign_of_life(client):
    assert client.get("/readyz").status_code == 503


def test_not_ready_without_a_database_and_it_says_why(client, monkeypatch, caplog):
    def fail(*_args: object) -> None:
        raise OperationalError("could not connect to server db7.example as trading")

    monkeypatch.setattr("tradingsite.health._queue_state", fail)
    monkeypatch.setattr("tradingsite.health.connection.close", lambda: None)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "is_ready": False,
        "database": {"is_ready": False},
        "reason": "the database does not answer",
    }
    assert "db7.example as trading" in caplog.text, "the words are in the log, not with strangers"


def test_drift_does_not_make_it_unready_and_is_shown(client, account):
    beats()
    make_run(account, "in_sync")
    last = make_run(account, "drift")
    make_run(account, "running")
    response = client.get("/readyz")
    assert response.status_code == 200
    (run,) = response.json()["last_runs"]
    assert (run["account"], run["run"], run["state"]) == ("sim", last.pk, "drift")
    assert 0 <= run["age_seconds"] < 60


def test_metrics(client, account):
    beats(ticker=2)
    make_run(account, "incomplete")
    lines = client.get("/metrics").content.decode().splitlines()
    assert "# TYPE tradingsite_orders gauge" in lines
    assert "tradingsite_queue_depth 0.0" in lines
    assert "tradingsite_proposed_fixes 0.0" in lines
    assert any(line.startswith('tradingsite_heartbeat_age_seconds{name="ticker"} 2.') for line in lines)
    assert any(line.startswith('tradingsite_last_run_age_seconds{account="sim",state="incomplete"}') for line in lines)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_only_reading(client, path):
    assert client.post(path).status_code == 405
