"""A proposed fix as data: its writes, its three columns, and the fingerprint of what was shown. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker.numbers import plain
from broker.types import BrokerFill
from positions.accounting import LedgerEntry, RoundTrip, fold
from positions.risk import levels, total_risk
from reconciliation.difference import Difference, Facts
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import KINDS
from reconciliation.ledger_entries import entry_of

Operation = dict[str, Any]
#: What an operation of a plan does at the broker. Every other one writes our database only.
BROKER_OPERATIONS = frozenset({"cancel_order", "replace_order", "place_protection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One fix: what it writes, and what database, Alpaca and the database afterwards say."""

    key: str
    action: str
    symbol: str
    title: str
    is_safe_copy: bool
    operations: tuple[Operation, ...]
    before: Facts
    broker: Facts
    after: Facts
    fingerprint: str

    @property
    def acts_at_broker(self) -> bool:
        return any(operation["op"] in BROKER_OPERATIONS for operation in self.operations)


def replaced_by(operation: Mapping[str, Any]) -> list[Operation]:
    """The cancels that must be proven before the order is sent. An older plan names one, not a list."""
    found: list[Operation] | Operation = operation.get("instead_of") or []
    return [found] if isinstance(found, dict) else found


def moved(difference: Difference) -> Mapping[str, Any]:
    """What must still be the same when the fix is applied."""
    return {
        "key": difference.key,
        "local": difference.local,
        "broker": difference.broker,
        "fills": [fill_text(fill) for fill in difference.new_fills],
    }


def fill_text(fill: BrokerFill) -> str:
    """One line that names everything about a fill that is booked."""
    return f"{fill.activity_id} {fill.side} {plain(fill.qty)} at {plain(fill.price)}"


def make_proposal(
    root: Difference,
    *,
    action: str,
    title: str,
    operations: list[Operation],
    before: Facts,
    broker: Facts,
    after: Facts,
    about: Iterable[Difference],
    is_guess: bool = False,
    key_end: str = "",
) -> Proposal:
    """`key_end` tells a second way to repair the same difference from the first."""
    written = [{k: v for k, v in operation.items() if k not in {"order", "fills"}} for operation in operations]
    acts = any(operation["op"] in BROKER_OPERATIONS for operation in operations)
    text = json.dumps([action, written, [moved(difference) for difference in about]], sort_keys=True, default=str)
    return Proposal(
        key=root.key + key_end,
        action=action,
        symbol=root.symbol,
        title=title[:300],
        is_safe_copy=KINDS[root.kind].is_safe_copy and not is_guess and not acts,
        operations=tuple(operations),
        before=before,
        broker=broker,
        after=after,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
    )


# --- Columns: database | Alpaca | after fix -----------------------------------------------------------------


def position_columns(
    symbol: str,
    fills: Iterable[BrokerFill],
    record: LocalRecord,
    evidence: BrokerEvidence,
    *,
    extra: tuple[LedgerEntry, ...] = (),
    without: frozenset[str] = frozenset(),
) -> tuple[Facts, Facts, Facts]:
    """Return the position before, after, and at Alpaca. `without` are ledger entries that the fix takes back."""
    stored = record.positions.get(symbol)
    before: dict[str, Any] = {"state": stored.state if stored else "none", "qty": plain(stored.qty) if stored else "0"}
    if stored is not None:
        before |= {
            "avg_entry_price": plain(stored.avg_entry_price),
            "stop_loss": plain(stored.stop_loss),
            "target": plain(stored.target),
            "total_risk": plain(stored.total_risk),
        }
    kept = [entry for entry in record.ledgers.get(symbol, ()) if entry.order_key not in without]
    trips = fold([*kept, *map(entry_of, fills), *extra])
    after = dict(_after_facts(symbol, trips, record))
    was, becomes = _realized(fold(record.ledgers.get(symbol, ()))), _realized(trips)
    if stored is not None and stored.state == "open" and (was or becomes) and symbol in record.ledgers:
        before["realized_pl"], after["realized_pl"] = plain(was), plain(becomes)
    theirs = evidence.positions.get(symbol)
    broker = {
        "state": "open" if theirs else "none",
        "qty": plain(theirs.qty) if theirs else "0",
        "avg_entry_price": plain(theirs.avg_entry_price) if theirs else None,
    }
    return before, after, broker


def _realized(trips: list[RoundTrip]) -> Decimal:
    return trips[-1].realized_pl if trips else Decimal(0)


def _after_facts(symbol: str, trips: list[RoundTrip], record: LocalRecord) -> Facts:
    if not trips:
        return {"state": "none", "qty": "0"}
    trip = trips[-1]
    if trip.qty == 0:
        return {
            "state": "closed",
            "qty": "0",
            "avg_entry_price": plain(trip.avg_entry_price),
            "avg_exit_price": plain(trip.avg_exit_price),
            "realized_pl": plain(trip.realized_pl),
        }
    facts: dict[str, Any] = {"state": "open", "qty": plain(trip.qty), "avg_entry_price": plain(trip.avg_entry_price)}
    percentages = record.percentages_of(symbol, trip.opened_at, trip.closed_at)
    found = levels(
        entry_price=trip.avg_entry_price,
        side=trip.side,
        stop_loss_pct=percentages.stop_loss_pct,
        target_pct=percentages.target_pct,
    )
    return facts | {
        "stop_loss": plain(found.stop_loss),
        "target": plain(found.target),
        "total_risk": plain(total_risk(found.risk_per_share, trip.qty)),
    }
