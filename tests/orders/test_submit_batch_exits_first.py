"""`manage.py submit_batch --cancel-exits-first` as a process of its own: held shares are freed, then sold, once."""

import json
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account, ProtectionPlan
from orders.chain_models import PATIENCE, CancelFirst
from orders.models import Batch, OrderChange
from orders.sending import execute_batch
from positions import protecting
from positions.models import Position
from reconciliation.models import Run
from tests.orders.conftest import orders_at_broker, posts, release
from tests.orders.processes import end, start_module
from tests.reconciliation.plan_worker import pass_by
from tests.reconciliation.steps import kinds, open_books, reconcile
from tests.simulation import SimAccount, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

LIVE = {"new", "accepted", "held", "partially_filled", "pending_cancel"}
#: The entry, the OCO of the plan, and the close.
ALL_POSTS = 3


@pytest.fixture
def account(sim: SimAccount, sim_account: Account, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Account:
    """Ten QCOM, all of them held by the stop and target of the account's plan."""
    monkeypatch.setattr(protecting, "QUIET", timedelta(0))
    settings.NOT_PLACED_AFTER_SECONDS, settings.NOT_PLACED_LOOKUPS = 0.5, 2
    sim.price("QCOM", "100")
    open_books(sim_account)
    sim_account.protection_plan = ProtectionPlan.OCO
    sim_account.save()
    execute_batch(batch_id=release(sim_account, "symbol,side,qty\nQCOM,buy,10\n").pk, now=timezone.now())
    until(sim_account, lambda: exits(sim) == ["held", "new"], "its exits")
    return sim_account


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "close.csv"
    path.write_text("symbol,side,qty\nQCOM,sell,10\n")
    return path


def exits(sim: SimAccount) -> list[str]:
    return sorted(row["status"] for row in orders_at_broker(sim) if row["side"] == "sell" and row["status"] in LIVE)


def until(account: Account, done: Any, what: str) -> None:
    """What the workers do by sweeps, until it is so."""

    def look() -> Any:
        for batch in Batch.objects.filter(finished_at__isnull=True):
            execute_batch(batch_id=batch.pk, now=timezone.now())
        pass_by(account)
        return done()

    wait_for(look, what, seconds=25)


def submit(sim: SimAccount, file: Path, *options: str, **environment: str) -> tuple[int, str]:
    return end(start_module(sim, "django", "submit_batch", str(file), *options, **environment))


def assert_closed_once(account: Account, sim: SimAccount) -> None:
    until(account, lambda: Position.objects.get().state == "closed", "the close")
    assert exits(sim) == []
    assert (len(posts(sim)), len(sim.requests("DELETE"))) == (ALL_POSTS, 1)
    wait_for(lambda: pass_by(account) == 0, "a pass with nothing to do")
    assert (reconcile(account).state, kinds(account)) == (Run.State.IN_SYNC, {})


def test_without_the_switch_alpaca_refuses_and_nothing_is_cancelled(
    account: Account, sim: SimAccount, file: Path
) -> None:  # fmt: skip
    status, said = submit(sim, file)
    assert status == 1, said
    assert "0 of 1 orders were accepted" in said
    assert (exits(sim), sim.requests("DELETE")) == (["held", "new"], [])


def test_held_shares_are_freed_and_then_sold(account: Account, sim: SimAccount, file: Path) -> None:
    status, said = submit(sim, file, "--cancel-exits-first", "--json")
    assert status == 0, said
    assert "nothing guards them" in said
    [document] = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert (document["state"], document["orders"][0]["submission_state"]) == ("finished", "confirmed")
    assert CancelFirst.objects.get().state == "proven"
    asked = [(r["method"], r["path"].split("/")[2]) for r in sim.requests() if r["method"] in {"POST", "DELETE"}]
    assert asked[-2:] == [("DELETE", "orders"), ("POST", "orders")]
    assert_closed_once(account, sim)


def test_a_dry_run_cancels_nothing(account: Account, sim: SimAccount, file: Path) -> None:
    status, said = submit(sim, file, "--cancel-exits-first", "--dry-run")
    assert (status, CancelFirst.objects.exists()) == (0, False), said
    assert exits(sim) == ["held", "new"]


@pytest.mark.parametrize("point", ["chain_begun", "after_commit", "chain_proven", "before_fills"])
def test_killed_between(account: Account, sim: SimAccount, file: Path, point: str) -> None:
    """Wherever the command dies, the workers go on with its batch, and nothing is asked of Alpaca twice."""
    status, said = submit(sim, file, "--cancel-exits-first", CRASH_POINT=point)
    assert status == -signal.SIGKILL, said
    assert_closed_once(account, sim)


def test_killed_once_freed_and_left_alone_too_long(account: Account, sim: SimAccount, file: Path) -> None:
    """A proof grows old: the close is denied, and the plan guards the shares again."""
    status, said = submit(sim, file, "--cancel-exits-first", CRASH_POINT="chain_proven")
    assert (status, exits(sim)) == (-signal.SIGKILL, []), said
    CancelFirst.objects.update(proven_at=timezone.now() - PATIENCE)
    until(account, lambda: exits(sim) == ["held", "new"], "its exits again")
    order = CancelFirst.objects.get().order
    assert (order.submission_state, order.cancel_first.state) == ("denied", "given_up")
    assert "could not be sent within half a minute" in order.refusal
    assert (len(posts(sim)), OrderChange.objects.count()) == (ALL_POSTS, 1)
    assert (reconcile(account).state, kinds(account)) == (Run.State.IN_SYNC, {})
