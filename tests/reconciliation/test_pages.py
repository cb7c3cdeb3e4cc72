"""The reconciliation pages: who sees and may do what, and that nothing is approved but what was shown."""

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from audit.models import AuditEntry
from broker.models import Account
from reconciliation.applying import apply_approved
from reconciliation.models import Drift, Fix, Run
from tests.factories import make_account
from tests.reconciliation.rows import (
    APPROVE,
    HTMX,
    INDEX,
    START,
    csv_rows,
    make_cause,
    make_drift,
    make_fix,
    make_run,
    page,
    shown,
)
from tests.reconciliation.steps import open_books, placed, reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


@pytest.fixture
def trader(people: SimpleNamespace) -> Client:
    client = Client()
    client.force_login(people.trader)
    return client


# --- Who may do what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [INDEX, "/reconciliation/runs/", "/reconciliation/runs/1/", "/reconciliation/fixes/1/"]
)
def test_the_logged_out_are_sent_to_log_in(client: Client, path: str) -> None:
    assert client.get(path)["Location"].startswith("/accounts/login/")


def test_a_trader_sees_everything_and_no_button(trader: Client, account: Account) -> None:
    run = make_run(account)
    fix = make_cause(run, "QCOM")
    make_cause(run, "NVDA", state="verified", approved_at=timezone.now(), approved_by="ops", verification_run=run)
    for path in (INDEX, "/reconciliation/runs/", f"/reconciliation/runs/{run.pk}/", fix.get_absolute_url()):
        text = page(trader, path)
        main = text[text.index('id="main"') : text.index("<footer")]
        assert 'name="fix"' not in main
        for word in ("Backfill<", 'id="approve', "Ignore…", "Undo</button>", "Reconcile now"):
            assert word not in main, f"{word} on {path}"
    assert "Our order to buy 10 QCOM" in page(trader)


def test_a_trader_may_do_nothing(trader: Client, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM")
    drift = fix.drifts.get()
    forms = {
        START: {},
        APPROVE: {"only": fix.pk, "shown": shown(fix), "confirmed": "yes"},
        f"/reconciliation/drifts/{drift.pk}/ignore/": {"reason": "because", "until": "2030-01-01"},
        f"{fix.get_absolute_url()}undo/": {"reason": "because"},
    }
    for path, data in forms.items():
        assert trader.post(path, data).status_code == 403, path
    fix.refresh_from_db()
    assert fix.state == "proposed"
    assert not AuditEntry.objects.exists()


def test_acts_need_a_post_and_a_token(people: SimpleNamespace, account: Account) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.ops)
    assert client.get(APPROVE).status_code == 405
    assert client.post(START).status_code == 403


# --- The board ------------------------------------------------------------------------------------------------


def test_it_says_that_nothing_was_compared_yet(ops: Client, account: Account) -> None:
    text = page(ops)
    assert "Nothing has been compared yet" in text
    assert "never checked" in text
    assert "no worker has been started yet" in text


def test_it_shows_verdict_causes_and_what_follows(ops: Client, account: Account) -> None:
    Schedule.objects.create(
        func="reconciliation.tasks.reconcile_at_close", next_run=timezone.now() + timedelta(hours=2)
    )
    run = make_run(account)
    make_cause(run, "QCOM")
    make_cause(run, "NVDA")
    text = page(ops)
    assert "<strong>2</strong> causes, <strong>$2,000.50</strong> not in step" in text
    assert "Alpaca holds 10 QCOM; the database has no position." in text
    assert 'id="group-critical"' in text, "a cause is as grave as what follows from it"
    assert "activity-QCOM" in text
    assert "data-until" in text


def test_it_says_why_the_last_read_proves_nothing(ops: Client, account: Account) -> None:
    make_run(account, state="incomplete", incomplete_reason="Alpaca did not answer.")
    text = page(ops)
    assert "proves nothing and changed nothing" in text
    assert "Alpaca did not answer." in text


def test_changed_fields_only_with_a_switch_for_all(ops: Client, account: Account) -> None:
    sides = {"order": {"status": "filled", "symbol": "QCOM"}}
    run = make_run(account)
    fix = make_fix(run, "QCOM", before={"order": {"status": "new", "symbol": "QCOM"}}, broker=sides, after=sides)
    make_drift(run, "QCOM", fix=fix)
    changed = page(ops)
    assert "Shown are 1 of 2 fields" in changed
    assert changed.count('id="fields-all"') == 1, "one switch for all tables"
    assert '<th scope="row">status</th>' in changed
    assert '<th scope="row">symbol</th>' not in changed
    assert '<th scope="row">symbol</th>' in page(ops, f"{INDEX}?fields=all")


def test_htmx_gets_the_region_and_others_the_page(ops: Client, account: Account) -> None:
    make_cause(make_run(account), "QCOM")
    fragment = page(ops, headers=HTMX)
    assert fragment.lstrip().startswith("<section")
    assert "<html" not in fragment
    assert "csrfmiddlewaretoken" not in fragment, "it would differ each time and defeat 'nothing changed'"
    assert fragment == page(ops, headers=HTMX)
    assert "<html" in page(ops)


def test_everything_that_acts_by_htmx_works_without(ops: Client, account: Account) -> None:
    make_cause(make_run(account), "QCOM")
    text = page(ops)
    for element in re.findall(r"<(a|button)\b([^>]*hx-(?:get|post)=[^>]*)>", text):
        tag, attributes = element
        assert ("href=" in attributes) if tag == "a" else ('type="submit"' in attributes), attributes
    assert "style=" not in text
    assert "<script>" not in text


@pytest.mark.parametrize("path", [INDEX, "/reconciliation/runs/", "/reconciliation/runs/{run}/"])
def test_queries_do_not_grow(ops: Client, account: Account, path: str, django_assert_max_num_queries) -> None:
    run = make_run(account)
    path = path.format(run=run.pk)
    counts = []
    for number in (2, 30):
        for index in range(Drift.objects.roots().count(), number):
            make_cause(run, f"S{index}")
            make_run(account, finished_at=run.finished_at)
        page(ops, path)  # sessions and content types are warm
        with django_assert_max_num_queries(60) as seen:
            page(ops, path)
        counts.append(len(seen))
    assert counts[0] == counts[1]


# --- Reconcile now --------------------------------------------------------------------------------------------


def test_reconcile_now_records_the_wish_and_queues_it(ops: Client, account: Account) -> None:
    assert ops.post(START)["Location"] == INDEX
    run = Run.objects.get()
    assert (run.state, run.trigger, run.requested_by) == ("queued", "demand", "ops")
    assert OrmQ.objects.count() == 1
    text = page(ops, headers=HTMX)
    assert "Waits for a worker" in text
    assert 'hx-trigger="every 1s"' in text


def test_a_second_wish_waits_for_the_first(ops: Client, account: Account) -> None:
    ops.post(START)
    answer = ops.post(START, headers=HTMX)
    assert Run.objects.count() == 1
    assert b"is under way already" in answer.content


def test_progress_of_a_run_is_shown(ops: Client, account: Account) -> None:
    make_run(account, state="running", finished_at=None, progress={"orders": 1500, "step": "orders"})
    text = page(ops)
    assert "Reads orders: 1,500 so far" in text
    assert "<progress" in text


def test_it_says_that_no_worker_is_alive(ops: Client, account: Account) -> None:
    make_run(account, state="queued", finished_at=None, requested_at=timezone.now() - timedelta(minutes=1))
    assert "No worker seems to be alive" in page(ops)


# --- Ignore ---------------------------------------------------------------------------------------------------


def test_ignoring_needs_a_reason_and_an_end_to_come(ops: Client, account: Account) -> None:
    drift = make_cause(make_run(account), "QCOM").drifts.get()
    path = f"/reconciliation/drifts/{drift.pk}/ignore/"
    assert "Alpaca holds 10 QCOM" in page(ops, path)
    for data in ({"reason": "", "until": "2090-01-01"}, {"reason": "why", "until": "2020-01-01"}, {"reason": "why"}):
        assert b"field-error" in ops.post(path, data).content or b"notice-bad" in ops.post(path, data).content
    drift.refresh_from_db()
    assert drift.state == "open"


def test_what_is_ignored_leaves_the_sum_and_stays_listed(ops: Client, account: Account) -> None:
    drift = make_cause(make_run(account), "QCOM").drifts.get()
    data = {"reason": "A transfer that arrives tomorrow", "until": "2090-01-01"}
    answer = ops.post(f"/reconciliation/drifts/{drift.pk}/ignore/", data, follow=True)
    text = answer.content.decode()
    assert "<strong>0</strong> causes" in text
    assert "A transfer that arrives tomorrow" in text
    assert Drift.objects.filter(state="open").count() == 0


# --- Runs and fixes -------------------------------------------------------------------------------------------


def test_runs_are_listed_filtered_and_exported(ops: Client, account: Account) -> None:
    run = make_run(account)
    make_cause(run, "QCOM")
    make_run(account, state="incomplete", trigger="close", finished_at=timezone.now() + timedelta(minutes=1))
    text = page(ops, "/reconciliation/runs/")
    assert "Run 1" in text or f"Run {run.pk}" in text
    assert "No runs match" in page(ops, "/reconciliation/runs/?state=in_sync")
    rows = csv_rows(ops, "/reconciliation/runs/?format=csv&sort=run")
    assert rows[0].startswith("run,state,causes,consequences,severity,opened,resolved,trigger,requested_by")
    assert rows[1].startswith(f'{run.pk},drift,1,1,"1 critical, 1 high",2,0,demand,ops')
    assert rows[2].startswith(f"{run.pk + 1},incomplete,,,,,,close,ops")
    assert len(rows) == 3


def test_a_run_shows_its_proof_drift_and_report(ops: Client, account: Account) -> None:
    run = make_run(account)
    make_cause(run, "QCOM")
    text = page(ops, run.get_absolute_url())
    assert "cursor-of-orders" in text
    assert "512" in text
    assert "Our order to buy 10 QCOM" in text
    assert "What was found" in text
    assert ops.get(f"{run.get_absolute_url()}?format=md")["Content-Type"].startswith("text/markdown")
    assert ops.get(f"{run.get_absolute_url()}?format=json").json()["run"] == run.pk
    assert b"<h1>Reconciliation report" in ops.get(f"{run.get_absolute_url()}?format=html").content


def test_what_does_not_exist_is_not_found(ops: Client, account: Account) -> None:
    for path in ("/reconciliation/runs/99/", "/reconciliation/fixes/99/", "/reconciliation/drifts/99/ignore/"):
        assert ops.get(path).status_code == 404


def test_from_drift_to_receipt_and_back(ops: Client, sim_account: Account, sim: SimAccount) -> None:
    """The whole way with the simulator: approve on the page, apply, read the receipt, undo."""
    open_books(sim_account)
    placed(sim, client_order_id="ts-1", symbol="QCOM")
    reconcile(sim_account)
    fix = Fix.objects.get()
    assert "Backfill: Record our order buy 10 QCOM?" in page(ops)
    ops.post(APPROVE, {"only": fix.pk, "shown": shown(fix), "confirmed": "yes"})
    apply_approved(account=sim_account, actor="system:worker")
    board = page(ops)
    assert 'data-state="verified"' in board
    assert "<strong>0</strong> causes, <strong>$0.00</strong> not in step" in board
    receipt = page(ops, fix.get_absolute_url())
    assert "Receipt: applied and verified live." in receipt
    assert "Fill 1" in receipt or "10 at" in receipt
    undo = f"{fix.get_absolute_url()}undo/"
    assert b"field-error" in ops.post(undo, {"reason": " "}).content
    answer = ops.post(undo, {"reason": "Booked by mistake"}, follow=True).content.decode()
    assert "Undone: Record our order buy 10 QCOM." in answer
    assert "Booked by mistake" in answer
    assert Run.objects.filter(state="queued").count() == 1
    assert b"Nothing was undone." in ops.post(undo, {"reason": "Again"}, follow=True).content
