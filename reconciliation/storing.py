"""Keep what a complete run found: drifts and fixes by their keys, so that a second sighting is not a second row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broker.models import Account
from reconciliation.difference import Explained
from reconciliation.kinds import KINDS, Kind
from reconciliation.models import Drift, Fix, Run
from reconciliation.planning import Proposal

_DRIFT_FIELDS = (
    "state", "symbol", "severity", "sentence", "dollars", "local", "broker", "evidence", "holds_cursor_at",
    "cause", "fix", "last_run", "last_seen_at", "resolved_at",
)  # fmt: skip


def store_findings(
    *, run: Run, explained: list[Explained], proposals: list[Proposal], now: datetime
) -> tuple[list[Drift], list[Fix]]:
    """Write the run's drifts and fixes; resolve and withdraw what it no longer shows. Call it in a transaction."""
    fixes = _store_fixes(run, proposals, {item.difference.key for item in explained}, now)
    drifts = _store_drifts(run, explained, fixes, now)
    return drifts, list(fixes.values())


# --- Fixes --------------------------------------------------------------------------------------------------


def _store_fixes(run: Run, proposals: list[Proposal], shown: set[str], now: datetime) -> dict[str, Fix]:
    live = {fix.key: fix for fix in Fix.objects.filter(account=run.account, state__in=Fix.LIVE_STATES)}
    kept: dict[str, Fix] = {}
    for proposal in proposals:
        fix = live.get(proposal.key)
        if fix is not None and _still_stands(fix, proposal, run):
            kept[proposal.key] = _refresh(fix, proposal)
            continue
        if fix is not None:
            _end_outdated(fix, run)
        kept[proposal.key] = _propose(run, proposal, now)
    for key, fix in live.items():
        if key not in kept:
            _end_unseen(fix, run, shown, now)
    return kept


def _still_stands(fix: Fix, proposal: Proposal, run: Run) -> bool:
    return fix.state != Fix.State.APPLIED and fix.fingerprint == proposal.fingerprint


def _refresh(fix: Fix, proposal: Proposal) -> Fix:
    """The same fix on the same facts; what surrounds it may have changed and is shown anew."""
    shown: dict[str, Any] = {
        "plan": list(proposal.operations),
        "before": dict(proposal.before),
        "broker": dict(proposal.broker),
        "after": dict(proposal.after),
    }
    changed = [name for name, value in shown.items() if getattr(fix, name) != value]
    if changed:
        for name in changed:
            setattr(fix, name, shown[name])
        fix.save(update_fields=changed)
    return fix


def _end_outdated(fix: Fix, run: Run) -> None:
    if fix.state == Fix.State.APPLIED:
        _end(fix, Fix.State.FAILED, f"Run {run.pk} still shows this difference after the fix was applied.")
    else:
        _end(
            fix, Fix.State.STALE, f"Database or Alpaca moved since it was shown: see run {run.pk} for the new picture."
        )


def _end_unseen(fix: Fix, run: Run, shown: set[str], now: datetime) -> None:
    """No proposal under this key any more: verified, failed, or no longer needed."""
    if fix.state == Fix.State.APPLIED and fix.key not in shown:
        changed = Fix.objects.filter(pk=fix.pk, state=Fix.State.APPLIED).update(
            state=Fix.State.VERIFIED, verified_at=now, verification_run=run
        )
        if changed:
            fix.refresh_from_db()
    elif fix.state == Fix.State.APPLIED:
        _end(fix, Fix.State.FAILED, f"Run {run.pk} still shows this difference after the fix was applied.")
    elif fix.key in shown:
        _end(fix, Fix.State.STALE, f"Run {run.pk} shows the difference but no longer this way to repair it.")
    else:
        _end(fix, Fix.State.WITHDRAWN, f"Run {run.pk} no longer shows the difference.")


def _end(fix: Fix, state: str, outcome: str) -> None:
    """End it even if somebody approved it this moment: the account's lease keeps anyone from applying it meanwhile."""
    Fix.objects.filter(pk=fix.pk, state__in=Fix.LIVE_STATES).update(state=state, outcome=outcome)
    fix.refresh_from_db()


def _propose(run: Run, proposal: Proposal, now: datetime) -> Fix:
    return Fix.objects.create(
        account=run.account,
        run=run,
        key=proposal.key,
        action=proposal.action,
        is_safe_copy=proposal.is_safe_copy,
        symbol=proposal.symbol,
        title=proposal.title,
        fingerprint=proposal.fingerprint,
        plan=list(proposal.operations),
        before=dict(proposal.before),
        broker=dict(proposal.broker),
        after=dict(proposal.after),
        proposed_at=now,
    )


# --- Drifts -------------------------------------------------------------------------------------------------


def _store_drifts(run: Run, explained: list[Explained], fixes: Mapping[str, Fix], now: datetime) -> list[Drift]:
    live = {
        drift.key: drift
        for drift in Drift.objects.filter(account=run.account, state__in=[Drift.State.OPEN, Drift.State.IGNORED])
    }
    stored: dict[str, Drift] = {}
    # Causes first: a consequence points to its cause's row.
    for item in sorted(explained, key=lambda item: item.cause_key is not None):
        cause = stored.get(item.cause_key) if item.cause_key else None
        stored[item.difference.key] = _store_drift(run, item, live, cause, fixes.get(item.difference.key), now)
    gone = [drift.pk for key, drift in live.items() if key not in stored and not _stays_ignored(drift, now)]
    Drift.objects.filter(pk__in=gone).update(state=Drift.State.RESOLVED, resolved_at=now)
    return list(stored.values())


def _stays_ignored(drift: Drift, now: datetime) -> bool:
    """An ignored order from outside leaves the reading window but is not gone; its rule ends by time."""
    is_order = KINDS[Kind(drift.kind)].group == "identity"
    return (
        drift.state == Drift.State.IGNORED and is_order and (drift.ignored_until is None or drift.ignored_until > now)
    )


def _store_drift(
    run: Run, item: Explained, live: Mapping[str, Drift], cause: Drift | None, fix: Fix | None, now: datetime
) -> Drift:
    found = item.difference
    facts = KINDS[found.kind]
    drift = live.get(found.key)
    is_new = drift is None
    if drift is None:
        drift = Drift(
            account=run.account,
            key=found.key,
            kind=found.kind.value,
            group=facts.group,
            first_run=run,
            first_seen_at=now,
        )
    drift.symbol = found.symbol
    drift.severity = facts.severity.value
    drift.sentence = found.sentence[:500]
    drift.dollars = found.dollars
    drift.local, drift.broker = dict(found.local), dict(found.broker)
    drift.evidence = _evidence(item)
    drift.holds_cursor_at = found.holds_cursor_at
    drift.cause, drift.fix = cause, fix
    drift.last_run, drift.last_seen_at = run, now
    drift.state = _state(drift, cause, now)
    if is_new:
        drift.save()
    else:
        drift.save(update_fields=_DRIFT_FIELDS)
    return drift


def _state(drift: Drift, cause: Drift | None, now: datetime) -> str:
    if cause is not None and cause.state == Drift.State.IGNORED:
        return Drift.State.IGNORED
    expired = drift.ignored_until is not None and drift.ignored_until <= now
    own_rule = drift.state == Drift.State.IGNORED and drift.ignored_reason and not expired
    return Drift.State.IGNORED if own_rule else Drift.State.OPEN


def _evidence(item: Explained) -> dict[str, Any]:
    found = item.difference
    evidence: dict[str, Any] = {"fills": [dict(fill.raw) for fill in found.new_fills]}
    if found.broker_order is not None:
        evidence["order"] = dict(found.broker_order.raw)
    return evidence


# --- Evidence drift: the read itself is at fault --------------------------------------------------------------


def store_evidence_drift(*, run: Run, kind: Kind, sentence: str, now: datetime) -> Drift:
    """Note that the evidence is bad. Everything else stays as it was: a bad read proves nothing."""
    key = f"{kind.value}:{run.account.slug}"
    values: dict[str, Any] = {
        "kind": kind.value,
        "group": KINDS[kind].group,
        "severity": KINDS[kind].severity.value,
        "sentence": sentence[:500],
        "local": {},
        "broker": {},
        "last_run": run,
        "last_seen_at": now,
    }
    drift = Drift.objects.filter(account=run.account, key=key, state=Drift.State.OPEN).first()
    if drift is None:
        return Drift.objects.create(account=run.account, key=key, first_run=run, first_seen_at=now, **values)
    for name, value in values.items():
        setattr(drift, name, value)
    drift.save(update_fields=list(values))
    return drift


def earliest_hold(account: Account) -> datetime | None:
    """The cursor stays before every broker order that open drift is about, so that the next run reads it again."""
    holds = Drift.objects.filter(account=account, state=Drift.State.OPEN, holds_cursor_at__isnull=False)
    return holds.order_by("holds_cursor_at").values_list("holds_cursor_at", flat=True).first()
