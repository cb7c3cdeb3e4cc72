"""Load the differences of a period as sightings, in one query however many there are."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from broker.models import Account
from broker.times import moment
from reconciliation.insight import EndedBy, Sighting
from reconciliation.kinds import KINDS, Kind
from reconciliation.models import Drift
from ui.tables import Column, Table

_FACTS = ("pk", "kind", "group", "symbol", "severity", "dollars", "first_seen_at", "state", "resolved_at")
_ENDS = ("fix__verified_at", "fix__approved_by")
#: Times in Alpaca's own words, the first that is there counts: of the first unknown fill, then of the order.
_HAPPENED = (
    "evidence__fills__0__transaction_time",
    "evidence__order__filled_at",
    "evidence__order__canceled_at",
    "evidence__order__expired_at",
    "evidence__order__submitted_at",
)


def sightings_since(account: Account, start: datetime) -> list[Sighting]:
    """Causes only: what follows from one is repaired with it and would count it twice."""
    found = Drift.objects.filter(account=account, first_seen_at__gte=start).roots().order_by("first_seen_at", "pk")
    return [_sighting(row) for row in found.values(*_FACTS, *_ENDS, *_HAPPENED).iterator(chunk_size=2000)]


def _sighting(row: Mapping[str, Any]) -> Sighting:
    ended_at, ended_by = _end(row)
    spelled = next((row[name] for name in _HAPPENED if row[name]), None)
    return Sighting(
        pk=row["pk"],
        kind=row["kind"],
        title=KINDS[Kind(row["kind"])].title,
        symbol=row["symbol"],
        severity=row["severity"],
        dollars=row["dollars"],
        is_of_evidence=row["group"] == "evidence",
        first_seen_at=row["first_seen_at"],
        happened_at=moment(spelled) if spelled else None,
        ended_at=ended_at,
        ended_by=ended_by,
    )


def _end(row: Mapping[str, Any]) -> tuple[datetime | None, EndedBy | None]:
    if row["state"] != Drift.State.RESOLVED:
        return None, None
    if row["fix__verified_at"] is None:
        return row["resolved_at"], EndedBy.ITSELF
    # Names of the system hold a colon, those of people never do.
    by_system = row["fix__approved_by"].startswith("system:")
    return row["fix__verified_at"], EndedBy.POLICY if by_system else EndedBy.PERSON


def _seconds(sighting: Sighting, name: str) -> Decimal | None:
    duration = getattr(sighting, name)
    return None if duration is None else Decimal(int(duration.total_seconds() * 10)) / 10


#: The file of all differences behind the page.
TABLE: Table[Sighting] = Table(
    in_database=False,
    default_sort="first_seen_at",
    columns=(
        Column(name="drift", value=lambda s: s.pk),
        Column(name="kind", value=lambda s: s.kind),
        Column(name="severity", value=lambda s: s.severity),
        Column(name="symbol", value=lambda s: s.symbol),
        Column(name="dollars", value=lambda s: s.dollars),
        Column(name="happened_at", value=lambda s: s.happened_at),
        Column(name="first_seen_at", value=lambda s: s.first_seen_at),
        Column(name="detection_seconds", value=lambda s: _seconds(s, "detection")),
        Column(name="ended_at", value=lambda s: s.ended_at),
        Column(name="ended_by", value=lambda s: s.ended_by.value if s.ended_by else None),
        Column(name="repair_seconds", value=lambda s: _seconds(s, "repair")),
    ),
)
