"""Alpaca's entries that are no trade, and the ledger as it would be with what we lack. Pure."""

from datetime import UTC, datetime
from decimal import Decimal

from broker.times import NEW_YORK
from broker.types import BrokerActivity
from positions.accounting import LedgerEntry, position_at
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.ledger_entries import entry_of

#: Entries by which shares come or go without a trade and without a split.
TRANSFERS = {
    "ACATS": "transferred between brokers",
    "JNLS": "journalled between accounts",
    "FOPT": "transferred free of payment",
    "SPIN": "spun off",
    "MA": "exchanged in a merger",
    "REORG": "removed in a reorganisation",
    "REO": "changed in a reorganisation",
}
#: What the reference of a line of the ledger begins with that stands for an entry of Alpaca's.
ACTIVITY_REFERENCE = "activity:"
_POSITION_KINDS = (
    Kind.POSITION_BROKER_ONLY, Kind.POSITION_DATABASE_ONLY, Kind.POSITION_QTY, Kind.POSITION_SIDE,
    Kind.POSITION_AVG_PRICE,
)  # fmt: skip
_ZERO = Decimal(0)


def unbooked(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> list[BrokerActivity]:
    return [
        activity
        for activity in evidence.other_activities
        if activity.symbol == symbol
        and activity.activity_id not in record.booked_activities
        and activity.raw.get("status") != "canceled"
    ]


def moment_of(activity: BrokerActivity) -> datetime | None:
    """Return when it took effect. An entry that came days later counts from the morning of its own day."""
    text = str(activity.raw.get("created_at") or "")
    created = _moment(text)
    day = _moment(f"{activity.day[:10]}T00:00:00") if activity.day else None
    if created is not None and (day is None or day.date() >= created.astimezone(NEW_YORK).date()):
        return created
    return day.replace(tzinfo=NEW_YORK).astimezone(UTC) if day is not None else created


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def ledger_with_new_fills(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> list[LedgerEntry]:
    """What we hold, and what the fills that we lack would add: those are repaired by fixes of their own."""
    new = [f for f in evidence.fills.values() if f.symbol == symbol and f.activity_id not in record.fills]
    return [*record.ledgers.get(symbol, ()), *map(entry_of, new)]


def qty_there(symbol: str, evidence: BrokerEvidence) -> Decimal:
    position = evidence.positions.get(symbol)
    return position.qty if position else _ZERO


def agrees(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> bool:
    ours = record.positions.get(symbol)
    if ours is not None and symbol not in record.ledgers:  # not loaded, because nothing differs
        return ours.qty == qty_there(symbol, evidence)
    return position_at(ledger_with_new_fills(symbol, record, evidence)).qty == qty_there(symbol, evidence)


def explained_positions(symbol: str, *, is_exact: bool) -> tuple[str, ...]:
    return tuple(f"{kind.value}:{symbol}" for kind in _POSITION_KINDS) if is_exact else ()
