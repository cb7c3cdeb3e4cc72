"""A difference from its sighting to its undoing, as the tests of kinds go through it."""

from decimal import Decimal
from typing import Any

from django.utils import timezone

from broker.models import Account
from positions.models import Position
from reconciliation.models import Drift, Fix, Run
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import backfill_all, kinds, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount


def shown(account: Account) -> dict[str, list[str]]:
    assert reconcile(account).state == Run.State.DRIFT
    return kinds(account)


def repair(account: Account, sim: SimAccount) -> list[Fix]:
    """Every fix applies and verifies, the next run is in sync, and positions are Alpaca's."""
    fixes = backfill_all(account).fixes
    assert fixes, "no fix was proposed"
    assert {fix.state for fix in fixes} == {Fix.State.VERIFIED}, [(fix.title, fix.outcome) for fix in fixes]
    assert reconcile(account).state == Run.State.IN_SYNC
    ours = {row.symbol: row.qty for row in Position.objects.filter(account=account).open()}
    assert ours == {row["symbol"]: Decimal(row["qty"]) for row in sim.api("GET", "/v2/positions")}
    return fixes


def undo(fixes: list[Fix]) -> None:
    for fix in reversed(fixes):
        undo_fix(fix=fix, actor="ops", now=timezone.now())


def working(account: Account, sim: SimAccount, **fields: Any) -> dict[str, Any]:
    """A limit order of ours that works and is recorded."""
    raw = placed(sim, **{"client_order_id": "ts-1-1-a", "type": "limit", "limit_price": "90", "wait": "new", **fields})
    record_as(account, sim, raw)
    return raw


def only_root(account: Account, kind: str) -> Drift:
    assert list(shown(account)) == [kind]
    return open_roots(account)[0]
