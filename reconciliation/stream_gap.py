"""Gaps of the stream: a complete run that began after one has made it good, and keeps a note that there was one."""

from datetime import datetime

from broker.models import StreamState
from broker.stream_state import NOT_FOLLOWED
from broker.times import NEW_YORK
from reconciliation.bad_evidence import store_evidence_drift
from reconciliation.evidence import BrokerEvidence, StreamFacts
from reconciliation.evidence_comparison import LONGEST_SILENCE, gap_closed_by
from reconciliation.kinds import KINDS, Kind
from reconciliation.models import Drift, Run

#: The same key as that of the difference which a complete run shows while the gap lasts.
KEY = f"{Kind.STREAM_GAP.value}:trade_updates"


def close_gap(*, run: Run, stream: StreamFacts | None, evidence: BrokerEvidence, now: datetime) -> None:
    """Call it in the transaction that ends a complete run. Of a connection that is still broken the rest stays open."""
    since = gap_closed_by(stream, evidence)
    if since is None or stream is None:
        return
    lasts = stream.is_followed and stream.connected_at is None
    values = {"gap_since": evidence.began_at} if lasts else {"gap_since": None, "gap_reason": ""}
    closed = StreamState.objects.filter(account=run.account, gap_since=since).update(**values)
    if closed and not lasts and _is_worth_a_note(stream, since, now) and not _was_known(run, since):
        _record(run, since, stream.gap_reason, now)


def _is_worth_a_note(stream: StreamFacts, since: datetime, now: datetime) -> bool:
    """A short break is everyday, and before it was followed nobody relied on it."""
    return stream.gap_reason != NOT_FOLLOWED and (stream.connected_at or now) - since > LONGEST_SILENCE


def note_gap(*, run: Run, now: datetime) -> None:
    """An incomplete run makes nothing good: the gap stays, and is said."""
    gaps = StreamState.objects.filter(account=run.account, gap_since__isnull=False)
    state = gaps.exclude(gap_reason=NOT_FOLLOWED).first()
    if state is not None and state.gap_since is not None:
        reason = state.gap_reason.rstrip(".") or "the connection broke"
        sentence = (
            f"The stream may have missed something since {_spell(state.gap_since)} New York time: {reason}. "
            "The run that should make it good was incomplete."
        )
        store_evidence_drift(run=run, kind=Kind.STREAM_GAP, sentence=sentence, now=now, key=KEY)


def _was_known(run: Run, since: datetime) -> bool:
    """An open row was shown by an earlier run; this run resolves it by not showing it."""
    return Drift.objects.filter(account=run.account, key=KEY, resolved_at=None).exists() or (
        Drift.objects.filter(account=run.account, key=KEY, resolved_at__gte=since).exists()
    )


def _record(run: Run, since: datetime, reason: str, now: datetime) -> None:
    facts = KINDS[Kind.STREAM_GAP]
    Drift.objects.create(
        account=run.account,
        key=KEY,
        kind=Kind.STREAM_GAP.value,
        group=facts.group,
        severity=facts.severity.value,
        state=Drift.State.RESOLVED,
        sentence=(
            f"The stream was interrupted from {_spell(since)} New York time"
            f"{': ' + reason.rstrip('.') if reason else ''}. Run {run.pk} read everything since, so nothing is missing."
        )[:500],
        local={"heard_until": since.isoformat(timespec="seconds")},
        broker={},
        first_run=run,
        last_run=run,
        first_seen_at=now,
        last_seen_at=now,
        resolved_at=now,
    )


def _spell(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}"
