"""Makers of runs, drifts and fixes for the tests of pages, and what a person's browser would send."""

from typing import Any

from django.test import Client
from django.utils import timezone

from broker.models import Account
from reconciliation.models import Drift, Fix, Run

INDEX, APPROVE, START = "/reconciliation/", "/reconciliation/approve/", "/reconciliation/start/"
HTMX = {"HX-Request": "true"}


def make_run(account: Account, **fields) -> Run:
    now = timezone.now()
    defaults = {
        "trigger": "demand",
        "state": "drift",
        "requested_by": "ops",
        "requested_at": now,
        "started_at": now,
        "finished_at": now,
        "api_calls": 9,
        "completeness": {
            "orders": {"pages": 2, "rows": 512, "last_cursor": "cursor-of-orders"},
            "positions": {"rows": 20},
            "window": {"orders_after": None, "activities_after": None, "broker_time": now.isoformat()},
        },
    }
    return Run.objects.create(account=account, **{**defaults, **fields})


def make_fix(run: Run, symbol: str, **fields) -> Fix:
    defaults = {
        "key": f"our_order_unlinked:{symbol}",
        "action": "import_order",
        "is_safe_copy": True,
        "symbol": symbol,
        "title": f"Record our order buy 10 {symbol}",
        "fingerprint": f"{symbol}-as-shown",
        "plan": [{"op": "import_order", "origin": "backfill", "order": {}, "fills": [{"id": "f"}]}],
        "before": {"order": {}, "position": {"state": "none", "qty": "0"}},
        "broker": {"order": {"status": "filled"}, "position": {"state": "open", "qty": "10"}},
        "after": {
            "order": {"status": "filled"},
            "position": {"state": "open", "qty": "10", "avg_entry_price": "100", "total_risk": "80"},
        },
        "proposed_at": run.requested_at,
    }
    return Fix.objects.create(account=run.account, run=run, **{**defaults, **fields})


def make_drift(run: Run, symbol: str, *, fix: Fix | None = None, **fields) -> Drift:
    defaults = {
        "key": f"our_order_unlinked:{symbol}",
        "kind": "our_order_unlinked",
        "group": "identity",
        "severity": "high",
        "symbol": symbol,
        "sentence": f"Our order to buy 10 {symbol} is not in the database.",
        "dollars": "1000.25",
        "local": {},
        "broker": {},
        "evidence": {"fills": [{"id": f"activity-{symbol}"}]},
        "first_seen_at": run.finished_at,
        "last_seen_at": run.finished_at,
    }
    return Drift.objects.create(account=run.account, first_run=run, last_run=run, fix=fix, **{**defaults, **fields})


def make_cause(run: Run, symbol: str, **fields) -> Fix:
    """A cause with its fix and one consequence."""
    fix = make_fix(run, symbol, **fields)
    cause = make_drift(run, symbol, fix=fix)
    make_drift(
        run,
        symbol,
        key=f"position_broker_only:{symbol}",
        kind="position_broker_only",
        group="positions",
        severity="critical",
        sentence=f"Alpaca holds 10 {symbol}; the database has no position.",
        cause=cause,
    )
    return fix


def shown(*fixes: Fix) -> str:
    return ",".join(f"{fix.pk}:{fix.fingerprint}" for fix in fixes)


def csv_rows(client: Client, path: str) -> list[str]:
    response: Any = client.get(path)
    return response.getvalue().decode().splitlines()


def page(client: Client, path: str = INDEX, **options) -> str:
    response = client.get(path, **options)
    assert response.status_code == 200
    return response.content.decode()
