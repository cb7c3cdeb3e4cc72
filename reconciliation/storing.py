"""Keep what a complete run found: drifts and fixes by their keys, so that a second sighting is not a second row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Q

from broker.models import Account
from reconciliation.approving import approve_by_policy
from reconciliation.difference import Difference, Explained, Facts
from reconciliation.dust_rule import hide_dust
from reconciliation.flapping import Flaps, flaps_of, told
from reconciliation.ignoring import reopen_grown
from reconciliation.kinds import KINDS, Kind
from reconciliation.models import Drift, Fix, IgnoreRule, Run
from reconciliation.policies import RuleBook
from reconciliation.proposals import Proposal

#: Windows exclude the moment they begin at.
HELD_BACK = timedelta(seconds=1)
_GAPS = frozenset({Kind.POSITION_BROKER_ONLY, Kind.POSITION_DATABASE_ONLY, Kind.POSITION_QTY, Kind.POSITION_SIDE})
_DRIFT_FIELDS = (
    "state", "symbol", "severity", "sentence", "dollars", "local", "broker", "evidence", "holds_cursor_at",
    "cause", "fix", "last_run", "last_seen_at", "resolved_at", "ignored_by", "ignored_reason", "ignored_until",
    "ignored_by_rule", "flaps",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a run could judge. What lies outside is neither resolved nor verified by not being shown."""

    since: datetime | None = None  # orders and fills after it were read; None: all
    unjudged: frozenset[str] = frozenset()  # keys of differences that an order on its way leaves open
    moving: frozenset[str] = frozenset()  # symbols with an order on its way: their protection is not judged

    def covers(self, drift: Drift) -> bool:
        if drift.key in self.unjudged or (drift.group == "protection" and drift.symbol in self.moving):
            return False
        return self.since is None or drift.holds_cursor_at is None or drift.holds_cursor_at > self.since


def store_findings(
    *,
    run: Run,
    explained: list[Explained],
    proposals: list[Proposal],
    scope: Scope,
    now: datetime,
    closes_at: datetime | None = None,
) -> list[Drift]:
    """Write the run's drifts and fixes; resolve and withdraw what it no longer shows. Call it in a transaction.

    Return the drifts that stand, the unjudged ones included. `closes_at`: when the session ends that is open now.
    """
    fixes = _store_fixes(run, proposals, {item.difference.key for item in explained}, scope, now)
    drifts = _store_drifts(run, explained, fixes, scope, now)
    approve_by_policy(account=run.account, now=now, closes_at=closes_at)
    return drifts


# --- Fixes --------------------------------------------------------------------------------------------------


def _store_fixes(run: Run, proposals: list[Proposal], shown: set[str], scope: Scope, now: datetime) -> dict[str, Fix]:
    live = {fix.key: fix for fix in Fix.objects.filter(account=run.account, state__in=Fix.LIVE_STATES)}
    kept: dict[str, Fix] = {}
    for proposal in proposals:
        fix = live.get(proposal.key)
        if fix is not None and _is_under_way(fix, scope):
            kept[proposal.key] = fix
            continue
        if fix is not None and _still_stands(fix, proposal):
            kept[proposal.key] = _refresh(fix, proposal)
            continue
        if fix is not None:
            _end_outdated(fix, run)
        kept[proposal.key] = _propose(run, proposal, now)
    for key, fix in live.items():
        if key not in kept:
            _end_unseen(fix, run, shown, scope, now)
    return kept


def _is_under_way(fix: Fix, scope: Scope) -> bool:
    """Alpaca has not said yet what became of it: it waits for a run that can tell."""
    return fix.acts_at_broker and fix.state == Fix.State.APPLIED and fix.symbol in scope.moving


def _still_stands(fix: Fix, proposal: Proposal) -> bool:
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


def _end_unseen(fix: Fix, run: Run, shown: set[str], scope: Scope, now: datetime) -> None:
    """No proposal under this key any more: verified, failed, or no longer needed."""
    if fix.key in scope.unjudged or (fix.acts_at_broker and fix.symbol in scope.moving):
        if fix.state != Fix.State.APPLIED:  # what was applied waits for a run that can say what came of it
            _end(fix, Fix.State.STALE, f"An order in {fix.symbol} was on its way in run {run.pk}: look at it anew.")
    elif fix.state == Fix.State.APPLIED and fix.key not in shown:
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
        acts_at_broker=proposal.acts_at_broker,
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


def _store_drifts(
    run: Run, explained: list[Explained], fixes: Mapping[str, Fix], scope: Scope, now: datetime
) -> list[Drift]:
    reopen_grown(account=run.account, explained=explained)
    live = {
        drift.key: drift
        for drift in Drift.objects.filter(account=run.account, state__in=[Drift.State.OPEN, Drift.State.IGNORED])
    }
    stored: dict[str, Drift] = {}
    hide_dust(account=run.account, explained=explained, now=now)
    rules = _rules_for(explained, RuleBook(run.account, now))
    flaps = flaps_of(run.account, {item.difference.key for item in explained}, now)
    # Causes first: a consequence points to its cause's row.
    for item in sorted(explained, key=lambda item: item.cause_key is not None):
        cause = stored.get(item.cause_key) if item.cause_key else None
        key = item.difference.key
        stored[key] = _store_drift(run, item, live, cause, fixes.get(key), rules.get(key), flaps.get(key), now)
    unseen = [drift for key, drift in live.items() if key not in stored]
    gone = {drift.pk for drift in unseen if scope.covers(drift)}
    Drift.objects.filter(pk__in=gone).update(state=Drift.State.RESOLVED, resolved_at=now)
    return [*stored.values(), *(drift for drift in unseen if drift.pk not in gone)]


def _rules_for(explained: list[Explained], book: RuleBook) -> dict[str, IgnoreRule]:
    """Return the rule that hides each cause, by its key. A cause is as grave as the gravest of its consequences."""
    severities: dict[str, list[str]] = {}
    for item in explained:
        family = item.cause_key or item.difference.key
        severities.setdefault(family, []).append(KINDS[item.difference.kind].severity)
    found: dict[str, IgnoreRule] = {}
    for item in explained:
        key, kind = item.difference.key, item.difference.kind
        if item.cause_key is None:
            rule = book.rule_for(kind=kind, symbol=item.difference.symbol, severities=severities[key])
            if rule is not None:
                found[key] = rule
    return found


def _store_drift(
    run: Run,
    item: Explained,
    live: Mapping[str, Drift],
    cause: Drift | None,
    fix: Fix | None,
    rule: IgnoreRule | None,
    flaps: Flaps | None,
    now: datetime,
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
    else:
        _end_ignoring_if_moved(drift, found)
    drift.symbol = found.symbol
    drift.severity = facts.severity.value
    drift.sentence, drift.flaps = told(found.sentence, flaps), flaps.count if flaps else 0
    drift.dollars = found.dollars
    drift.local, drift.broker = dict(found.local), dict(found.broker)
    drift.evidence = _evidence(item)
    drift.holds_cursor_at = found.holds_cursor_at
    drift.cause, drift.fix = cause, fix
    drift.last_run, drift.last_seen_at = run, now
    _follow_rule(drift, rule)
    drift.state = _state(drift, cause, now)
    drift.save(update_fields=None if is_new else _DRIFT_FIELDS)
    return drift


def _follow_rule(drift: Drift, rule: IgnoreRule | None) -> None:
    """A rule hides what nobody has ignored by hand, and lets go of what it no longer covers."""
    if rule is not None and (drift.ignored_by_rule_id or drift.state != Drift.State.IGNORED):
        if drift.ignored_by_rule_id != rule.pk or drift.state != Drift.State.IGNORED:
            IgnoreRule.objects.filter(pk=rule.pk).update(hidden_count=F("hidden_count") + 1)
        drift.state, drift.ignored_by_rule = Drift.State.IGNORED, rule
        drift.ignored_by, drift.ignored_reason, drift.ignored_until = rule.owner, rule.reason, rule.expires_at
    elif rule is None and drift.ignored_by_rule_id:
        drift.state, drift.ignored_by_rule = Drift.State.OPEN, None
        drift.ignored_by, drift.ignored_reason, drift.ignored_until = "", "", None


def _state(drift: Drift, cause: Drift | None, now: datetime) -> str:
    if cause is not None and cause.state == Drift.State.IGNORED:
        return Drift.State.IGNORED
    expired = drift.ignored_until is not None and drift.ignored_until <= now
    own_rule = drift.state == Drift.State.IGNORED and drift.ignored_reason and not expired
    return Drift.State.IGNORED if own_rule else Drift.State.OPEN


def _end_ignoring_if_moved(drift: Drift, found: Difference) -> None:
    """A person ignored what was to be seen then. Something else under the same key is for a person to see again."""
    if drift.state == Drift.State.IGNORED and drift.ignored_reason:
        seen, shown = (_picture(found.kind, side.local, side.broker) for side in (drift, found))
        if seen != shown:
            drift.state, drift.ignored_reason, drift.ignored_until = Drift.State.OPEN, "", None


def _picture(kind: Kind, local: Facts, broker: Facts) -> object:
    """What ignoring holds on to. Both sides of a position move with every trade: there it is the gap."""
    if kind in _GAPS:
        return Decimal(broker["qty"]) - Decimal(local["qty"])
    return dict(local), dict(broker)


def _evidence(item: Explained) -> dict[str, Any]:
    found, order = item.difference, item.difference.broker_order
    fills = {"fills": [dict(fill.raw) for fill in found.new_fills]}
    return {**fills, "order": dict(order.raw)} if order is not None else fills


def earliest_hold(account: Account) -> datetime | None:
    """The cursor stays before every broker order that open drift is about, so that the next run reads it again.

    An ignored one is read again, too, while it explains something else.
    """
    live = Drift.objects.filter(account=account, holds_cursor_at__isnull=False)
    explains = Q(state=Drift.State.IGNORED, consequences__state=Drift.State.IGNORED)
    holds = live.filter(Q(state=Drift.State.OPEN) | explains).order_by("holds_cursor_at")
    earliest = holds.values_list("holds_cursor_at", flat=True).first()
    return earliest - HELD_BACK if earliest else None
