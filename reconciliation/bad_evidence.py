"""Note that a read proves nothing, as a difference of its own. Everything else stays as it was."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciliation.flapping import flaps_of, told
from reconciliation.kinds import KINDS, Kind
from reconciliation.models import Drift, Run


def store_evidence_drift(
    *, run: Run, kind: Kind, sentence: str, now: datetime, key: str = "", seen: Mapping[str, str] | None = None
) -> Drift:
    """Note that the evidence is bad. Everything else stays as it was: a bad read proves nothing."""
    key = key or f"{kind.value}:{run.account.slug}"
    values: dict[str, Any] = {
        "kind": kind.value,
        "group": KINDS[kind].group,
        "severity": KINDS[kind].severity.value,
        "local": {},
        "broker": dict(seen or {}),
        "last_run": run,
        "last_seen_at": now,
    }
    drift = Drift.objects.filter(account=run.account, key=key, state=Drift.State.OPEN).first()
    flaps = flaps_of(run.account, {key}, now).get(key)
    values |= {"sentence": told(sentence, flaps), "flaps": flaps.count if flaps else 0}
    if drift is None:
        return Drift.objects.create(account=run.account, key=key, first_run=run, first_seen_at=now, **values)
    for name, value in values.items():
        setattr(drift, name, value)
    drift.save(update_fields=list(values))
    return drift
