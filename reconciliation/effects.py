"""What a fix does beside its own rows: to the cash on record, and to the other differences that it closes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from broker.mapping import to_activity
from broker.numbers import exact, plain
from broker.types import BrokerFill
from positions.cash_sums import paid_for
from reconciliation.difference import Explained
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.proposals import Operation, Proposal

_ZERO = Decimal(0)


def with_effects(
    proposals: Iterable[Proposal], explained: Sequence[Explained], record: LocalRecord, evidence: BrokerEvidence
) -> list[Proposal]:
    """Add to each fix the cash before and after it, and what goes away with it. They are no part of its fingerprint."""
    closes: dict[str, list[dict[str, str]]] = {}
    for item in explained:
        if item.cause_key is not None:
            found = item.difference
            closes.setdefault(item.cause_key, []).append(
                {"kind": found.kind.value, "symbol": found.symbol, "sentence": found.sentence}
            )
    return [_with_effects(proposal, closes.get(proposal.key, []), record, evidence) for proposal in proposals]


def _with_effects(
    proposal: Proposal, closes: list[dict[str, str]], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal:
    before, broker, after = dict(proposal.before), dict(proposal.broker), dict(proposal.after)
    after["closes"] = closes
    moved = sum((_paid(operation, record) for operation in proposal.operations), _ZERO)
    if record.cash is not None and moved:
        before["cash"] = {"balance": plain(record.cash.expected)}
        broker["cash"] = {"balance": plain(evidence.account.cash)}
        after["cash"] = {"balance": plain(record.cash.expected + moved)}
    return replace(proposal, before=before, broker=broker, after=after)


def _paid(operation: Operation, record: LocalRecord) -> Decimal:
    """What one operation adds to the cash that the books lead to."""
    booked = sum((_paid_by_fill(raw) for raw in operation.get("fills") or ()), _ZERO)
    match operation["op"]:
        case "take_out_fill":
            said: Mapping[str, Any] = operation["said"]
            return booked - paid_for(said["side"], exact(said["qty"]), exact(said["price"])).net
        case "book_adjustment" if operation["kind"] == "correction":
            return paid_for("buy", exact(operation["qty"]), exact(operation["price"])).net
        case "take_back_adjustment":
            return -_paid_by_correction(operation, record)
        case "book_cash_entry":
            return exact(operation["activity"].get("net_amount") or "0")
        case "book_cash_correction":
            return exact(operation["amount"])
        case _:
            return booked


def _paid_by_fill(raw: Mapping[str, Any]) -> Decimal:
    fill = to_activity(raw)
    return paid_for(fill.side, fill.qty, fill.price).net if isinstance(fill, BrokerFill) else _ZERO


def _paid_by_correction(operation: Operation, record: LocalRecord) -> Decimal:
    lines = record.ledgers.get(operation["symbol"], ())
    line = next((line for line in lines if line.order_key == operation["reference"]), None)
    return paid_for("buy", line.qty, line.price).net if line is not None and line.kind == "correction" else _ZERO
