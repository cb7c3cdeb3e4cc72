"""The pages of runs: the list, the proof of one, its files, and both sides as they were."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker.models import Account
from reconciliation.models import Drift, Run, RunSnapshot
from tests.factories import make_account
from tests.reconciliation.rows import csv_rows, make_cause, make_drift, make_run, page
from tests.reconciliation.steps import backfill_all, open_books, placed, reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db
RUNS = "/reconciliation/runs/"


@pytest.fixture
def account(db: None) -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def trader(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.trader)
    return client


def proof_of(rows: int) -> dict[str, object]:
    at = timezone.now().isoformat()
    facts = {"pages": 1, "rows": rows, "last_cursor": f"cursor-{rows}", "began_at": at, "ended_at": at}
    return {"began_at": at, "ended_at": at, "lists": {"orders": facts, "positions": facts}}


@pytest.mark.parametrize("path", ["/reconciliation/runs/1/picture/", "/reconciliation/runs/1/?format=csv"])
def test_the_logged_out_are_sent_to_log_in(client: Client, path: str) -> None:
    assert client.get(path)["Location"].startswith("/accounts/login/")


# --- The list -------------------------------------------------------------------------------------------------


def test_a_run_is_listed_with_what_it_opened_and_resolved(trader: Client, account: Account) -> None:
    first, later = make_run(account), timezone.now() + timedelta(minutes=1)
    make_cause(first, "QCOM")
    second = make_run(account, state="in_sync", finished_at=later)
    Drift.objects.update(state="resolved", resolved_at=second.finished_at)
    rows = csv_rows(trader, f"{RUNS}?format=csv&sort=run")
    assert rows[1].startswith(f'{first.pk},drift,1,1,"1 critical, 1 high",2,0')
    assert rows[2].startswith(f"{second.pk},in_sync,0,0,,0,2")
    text = page(trader, RUNS)
    assert "×1" in text
    assert "none" in text


@pytest.mark.parametrize("sort", ["severity", "-opened", "duration_seconds", "-resolved", "causes"])
def test_the_list_sorts_by_its_counts(trader: Client, account: Account, sort: str) -> None:
    grave = make_run(account)
    quiet = make_run(account, state="in_sync", finished_at=timezone.now() + timedelta(minutes=3))
    make_cause(grave, "QCOM")
    order = [int(row.split(",")[0]) for row in csv_rows(trader, f"{RUNS}?format=csv&sort={sort}")[1:]]
    grave_last = {"severity", "causes", "duration_seconds"}
    if sort == "duration_seconds":
        assert order == [grave.pk, quiet.pk]
    elif sort == "-resolved":
        assert order == [quiet.pk, grave.pk]
    else:
        assert order == ([quiet.pk, grave.pk] if sort in grave_last else [grave.pk, quiet.pk])


def test_the_list_costs_the_same_for_many_runs(trader: Client, account: Account) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            page(trader, path)
        return len(found)

    run = make_run(account)
    make_cause(run, "QCOM")
    page(trader, RUNS)
    few = queries(RUNS), queries(run.get_absolute_url())
    for number in range(40):
        again = make_run(account, completeness={"readings": [proof_of(number)] * 3})
        make_cause(again, f"S{number}")
        make_drift(again, f"T{number}")
    assert (queries(RUNS), queries(run.get_absolute_url())) == few


def test_it_is_found_by_who_asked(trader: Client, account: Account) -> None:
    make_run(account, requested_by="system:schedule")
    mine = make_run(account, requested_by="trader")
    rows = csv_rows(trader, f"{RUNS}?format=csv&q=trade")
    assert [row.split(",")[0] for row in rows[1:]] == [str(mine.pk)]


# --- One run --------------------------------------------------------------------------------------------------


def test_the_proof_has_every_reading_and_says_how_the_end_was_proven(trader: Client, account: Account) -> None:
    run = make_run(account, completeness={"readings": [proof_of(7), proof_of(8)], "window": {"orders_after": None}})
    text = page(trader, run.get_absolute_url())
    assert "Reading 1 of 2" in text
    assert "Reading 2 of 2" in text
    assert "it shows the same as the one before" in text
    assert "cursor-8" in text
    assert "asked once more" in text
    assert "Their values add up to the account" in text


def test_an_incomplete_run_shows_where_it_broke_off(trader: Client, account: Account) -> None:
    reading = {**proof_of(512), "broken_off": {"name": "activities", "pages": 3, "rows": 300, "last_cursor": "half"}}
    run = make_run(account, state="incomplete", incomplete_reason="No answer.", completeness={"readings": [reading]})
    text = page(trader, run.get_absolute_url())
    assert "What was read before it failed" in text
    assert "broke off here" in text
    assert "half" in text
    assert "This one was judged" not in text
    report = trader.get(f"{run.get_absolute_url()}?format=md").content.decode()
    assert "Read before it failed: Orders: pages 1, rows 512" in report
    assert "Broken off in: Activities: pages 3, rows 300" in report


def test_the_report_comes_as_csv(trader: Client, account: Account) -> None:
    run = make_run(account)
    make_cause(run, "QCOM", state="verified", approved_by="ops", approved_at=timezone.now())
    rows = csv_rows(trader, f"{run.get_absolute_url()}?format=csv")
    assert rows[0] == "section,symbol,what,severity,state,amount,text"
    assert [row.split(",")[0] for row in rows[1:]] == ["run", "found", "consequence", "repaired"]
    assert "1000.25" in rows[2]


# --- Both sides as they were ----------------------------------------------------------------------------------


def test_travelling_back_shows_what_was_and_marks_what_differed(
    trader: Client, sim_account: Account, sim: SimAccount
) -> None:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1", symbol="NVDA")
    placed(sim, client_order_id="ts-2", symbol="QCOM")
    before = reconcile(sim_account)
    assert before.state == Run.State.DRIFT
    backfill_all(sim_account)
    path = f"{before.get_absolute_url()}picture/"
    assert f'href="{path}"' in page(trader, before.get_absolute_url())
    text = page(trader, path)
    assert "NVDA" in text
    assert "2 differ" in text
    assert "Equity then" in text
    one = page(trader, f"{path}?symbol=NVDA")
    assert one.count('<th scope="row">NVDA</th>') >= 2
    assert '<th scope="row">QCOM</th>' not in one
    after = RunSnapshot.objects.order_by("-run_id").first()
    assert after is not None
    text = page(trader, f"{after.run.get_absolute_url()}picture/")
    assert "both sides agree" in text
    assert ">differs<" not in text
    assert "Nothing of this kind" in page(trader, f"{after.run.get_absolute_url()}picture/?show=differences")


def test_a_run_without_a_picture_says_why(trader: Client, account: Account) -> None:
    incomplete = make_run(account, state="incomplete")
    assert "could not read Alpaca to the end" in page(trader, f"{incomplete.get_absolute_url()}picture/")
    old = make_run(account)
    assert "older than 30 days" in page(trader, f"{old.get_absolute_url()}picture/")
    assert "Travel back" not in page(trader, old.get_absolute_url())
    assert trader.get("/reconciliation/runs/999/picture/").status_code == 404
