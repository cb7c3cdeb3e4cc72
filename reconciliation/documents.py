"""Runs, drifts and fixes as the JSON documents of the contract."""

from typing import Any

from reconciliation.models import Drift, Fix, Run


def run_document(run: Run) -> dict[str, Any]:
    """The document of `reconcile --json`. Ignored drift is not part of the verdict and so not listed."""
    drifts = Drift.objects.filter(last_run=run, state=Drift.State.OPEN).order_by("id")
    return {
        "run": run.pk,
        "account": run.account.slug,
        "state": run.state,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "api_calls": run.api_calls,
        "drifts": [drift_document(drift) for drift in drifts],
        "incomplete_reason": run.incomplete_reason or None,
    }


def drift_document(drift: Drift) -> dict[str, Any]:
    return {
        "id": drift.pk,
        "kind": drift.kind,
        "group": drift.group,
        "severity": drift.severity,
        "symbol": drift.symbol,
        "cause_id": drift.cause_id,
        "local": drift.local,
        "broker": drift.broker,
        "fix_id": drift.fix_id or (drift.cause.fix_id if drift.cause else None),
        "sentence": drift.sentence,
    }


def fix_document(fix: Fix) -> dict[str, Any]:
    return {
        "id": fix.pk,
        "run": fix.run_id,
        "account": fix.account.slug,
        "action": fix.action,
        "symbol": fix.symbol,
        "title": fix.title,
        "state": fix.state,
        "is_safe_copy": fix.is_safe_copy,
        "acts_at_broker": fix.acts_at_broker,
        "fingerprint": fix.fingerprint,
        "before": fix.before,
        "broker": fix.broker,
        "after": fix.after,
        "proposed_at": fix.proposed_at,
        "approved_by": fix.approved_by or None,
        "applied_at": fix.applied_at,
        "verified_at": fix.verified_at,
        "outcome": fix.outcome or None,
    }
