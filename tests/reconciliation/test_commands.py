"""The commands of the contract: what they print, and with which status they end."""

import json
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from broker.models import Account
from orders.models import Fill, Order
from positions.models import Position
from reconciliation.models import Fix, Run
from tests.reconciliation.steps import open_books, placed, reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    return sim_account


def run(*command: str) -> tuple[int, str]:
    """Return exit status and what was printed to standard output; a refusal's sentence stands in for the latter."""
    out = StringIO()
    try:
        call_command(*command, stdout=out, stderr=StringIO())
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    except CommandError as refusal:
        return refusal.returncode, str(refusal)
    return 0, out.getvalue()


def test_reconcile_in_sync(account: Account) -> None:
    status, text = run("reconcile", "--json")
    document = json.loads(text)
    assert status == 0
    assert {name: document[name] for name in ("account", "state", "drifts", "incomplete_reason")} == {
        "account": "sim",
        "state": "in_sync",
        "drifts": [],
        "incomplete_reason": None,
    }
    assert set(document) >= {"run", "started_at", "finished_at", "api_calls"}
    assert document["api_calls"] > 0


def test_reconcile_drift_names_cause_and_consequence(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    status, text = run("reconcile", "--json")
    document = json.loads(text)
    assert (status, document["state"]) == (1, "drift")
    cause, consequence = document["drifts"]
    assert set(cause) >= {"id", "kind", "group", "severity", "symbol", "cause_id", "local", "broker", "fix_id"}
    assert (cause["kind"], cause["cause_id"]) == ("our_order_unlinked", None)
    assert (consequence["kind"], consequence["cause_id"]) == ("position_broker_only", cause["id"])
    assert consequence["fix_id"] == cause["fix_id"] == Fix.objects.get().pk
    assert cause["broker"]["status"] == "filled"


def test_reconcile_incomplete(account: Account, sim: SimAccount) -> None:
    sim.fault("status", "GET", "/v2/positions", times=None, status=500)
    status, text = run("reconcile", "--json")
    document = json.loads(text)
    assert (status, document["state"]) == (2, "incomplete")
    assert document["incomplete_reason"]


def test_reconcile_in_words(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    status, text = run("reconcile")
    assert status == 1
    assert "Our order to buy 10 QCOM is filled at Alpaca" in text


@pytest.mark.parametrize("command", [("reconcile",), ("verify",), ("report",), ("backfill", "--all", "--as", "ops")])
def test_unknown_account(account: Account, people: SimpleNamespace, command: tuple[str, ...]) -> None:
    status, text = run(*command, "--account", "nobody")
    assert status == 2
    assert "nobody" in text


def test_fixes_lists_before_and_after(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    status, text = run("fixes", "--json")
    fix = json.loads(text)["fixes"][0]
    assert status == 0
    assert (fix["before"]["position"]["qty"], fix["after"]["position"]["qty"]) == ("0", "10")
    assert "position qty" in run("fixes")[1]
    assert run("fixes", "--run", "999")[0] == 2


def test_backfill_all(account: Account, sim: SimAccount, people: SimpleNamespace) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    status, text = run("backfill", "--all", "--as", "ops", "--json")
    assert status == 0
    assert [fix["state"] for fix in json.loads(text)["fixes"]] == ["verified"]
    assert run("reconcile")[0] == 0
    # Once more: nothing is left to do, and nothing is done.
    counts = Order.objects.count(), Fill.objects.count(), Run.objects.count()
    assert run("backfill", "--all", "--as", "ops")[0] == 0
    assert (Order.objects.count(), Fill.objects.count(), Run.objects.count()) == counts


def test_second_run_after_a_backfill_writes_nothing_but_itself(
    account: Account, sim: SimAccount, people: SimpleNamespace
) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    run("backfill", "--all", "--as", "ops")
    before = _rows()
    assert run("reconcile")[0] == 0
    assert _rows() == before


def _rows() -> dict[str, Any]:
    """Every row of the books; not the run with its picture and cursor, nor what processes share."""
    kept = {"orders", "positions", "reconciliation", "audit", "broker"}
    models = [model for model in apps.get_models() if model._meta.app_label in kept]
    others = {"Run", "RunSnapshot", "ReadingCursor", "RequestBudget"}
    return {m.__name__: list(m._default_manager.order_by("pk").values()) for m in models if m.__name__ not in others}


def test_backfill_dry_run_writes_nothing(account: Account, sim: SimAccount, people: SimpleNamespace) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    status, text = run("backfill", "--all", "--as", "ops", "--dry-run")
    assert status == 0
    assert "position qty: 0 → 10" in text
    assert (Order.objects.count(), Fix.objects.get().state) == (0, "proposed")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("--all", "--as", "trader"), "may not approve"),
        (("--all", "--as", "nobody"), "no active user"),
        (("--fix", "999", "--as", "ops"), "no fix 999"),
    ],
)
def test_backfill_refused(account: Account, people: SimpleNamespace, command: tuple[str, ...], says: str) -> None:
    status, text = run("backfill", *command)
    assert status == 2
    assert says in text


def test_backfill_that_cannot_be_verified(account: Account, sim: SimAccount, people: SimpleNamespace) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    sim.fault("status", "GET", "/v2/positions", times=None, status=500)
    assert run("backfill", "--all", "--as", "ops")[0] == 1
    assert not Order.objects.exists()


def test_undo_fix(account: Account, sim: SimAccount, people: SimpleNamespace) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    run("backfill", "--all", "--as", "ops")
    fix = Fix.objects.get()
    assert run("undo_fix", str(fix.pk), "--as", "trader")[0] == 2
    assert run("undo_fix", str(fix.pk), "--as", "ops")[0] == 0
    assert not Order.objects.exists()
    assert run("undo_fix", str(fix.pk), "--as", "ops")[0] == 2
    assert run("undo_fix", "999", "--as", "ops")[0] == 2
    assert run("reconcile")[0] == 1


def test_verify(account: Account, sim: SimAccount, people: SimpleNamespace) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    status, text = run("verify", "--json")
    assert status == 1
    assert json.loads(text)["broker"] == [{"symbol": "QCOM", "rebuilt": "0", "broker": "10"}]
    run("backfill", "--all", "--as", "ops")
    assert run("verify")[0] == 0
    Position.objects.update(total_risk="1")
    status, text = run("verify", "--json")
    assert (status, json.loads(text)["stored"][0]["field"]) == (1, "total_risk")
    sim.fault("status", "GET", "/v2/positions", times=None, status=500)
    assert run("verify")[0] == 2


@pytest.mark.parametrize("layout", ["md", "html", "json"])
def test_report_has_its_seven_sections(account: Account, sim: SimAccount, people: SimpleNamespace, layout: str) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    run("backfill", "--all", "--as", "ops")
    status, text = run("report", "--format", layout)
    assert status == 0
    sections = ["summary", "problem", "found", "repaired", "verification", "portfolio", "next"]
    places = [text.lower().index(section) for section in sections]
    assert places == sorted(places)
    assert "QCOM" in text
    assert run("report", "999")[0] == 2


def test_report_before_the_first_run(account: Account) -> None:
    status, text = run("report")
    assert status == 2
    assert "never reconciled" in text


def test_reconcile_that_is_incomplete_says_its_reason_once_and_what_to_start(account: Account, settings: Any) -> None:
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("reconcile", stdout=out, stderr=err)
    assert end.value.code == 2
    assert (out.getvalue() + err.getvalue()).count("No connection to Alpaca") == 1
    assert "Start it: manage.py alpacasim." in err.getvalue()
