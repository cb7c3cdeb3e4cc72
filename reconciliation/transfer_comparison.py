"""Compare the shares that came or went without a trade. Pure.

What leaves goes at its own average and realises nothing. What comes has the basis that Alpaca names; where it names
none, what a person entered, or else one that gives Alpaca's average.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from broker.numbers import plain
from broker.types import BrokerActivity, BrokerPosition
from positions.accounting import LedgerEntry, NetPosition, as_broker_counts, position_at
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, EnteredPrice, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.without_trade import (
    ACTIVITY_REFERENCE,
    TRANSFERS,
    explained_positions,
    ledger_with_new_fills,
    moment_of,
    qty_there,
    unbooked,
)
from reconciliation.wording import average

_ZERO = Decimal(0)


def compare_transfers(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    ledger = ledger_with_new_fills(symbol, record, evidence)
    rows = [a for a in unbooked(symbol, record, evidence) if a.activity_type in TRANSFERS and a.qty]
    moves = sorted(((at, row) for row in rows if (at := moment_of(row)) is not None), key=lambda move: move[0])
    total = sum((row.qty or _ZERO for _, row in moves), _ZERO)
    is_exact = bool(moves) and position_at(ledger).qty + total == qty_there(symbol, evidence)
    entries: list[LedgerEntry] = []
    for at, row in moves:
        entry = _transferred(at, row, [*ledger, *entries], total, evidence.positions.get(symbol))
        entry = _as_entered(entry, record.entered.get(f"{Kind.TRANSFER.value}:{row.activity_id}"))
        entries.append(entry)
        yield Difference(
            kind=Kind.TRANSFER,
            subject=row.activity_id,
            symbol=symbol,
            local={"activity_id": "", "qty": "0"},
            broker={"activity_id": row.activity_id, "qty": plain(row.qty), "price": plain(row.price)},
            sentence=_transfer_sentence(symbol, row, entry),
            dollars=abs(entry.qty * entry.price),
            entries=(entry,) if is_exact else (),
            explains=explained_positions(symbol, is_exact=is_exact),
            holds_cursor_at=at,
        )


def _transferred(
    at: datetime, row: BrokerActivity, ledger: list[LedgerEntry], total: Decimal, theirs: BrokerPosition | None
) -> LedgerEntry:
    """What leaves goes at its own average. What comes has the basis that Alpaca names, or one giving its average."""
    held, qty = position_at(ledger, at), row.qty or _ZERO
    price, is_estimated = row.price, False
    if held.qty * qty < 0 and held.avg_entry_price is not None:
        price = held.avg_entry_price
    elif not price and theirs is not None:
        is_estimated, price = True, _basis(position_at(as_broker_counts(ledger)), total, theirs)
    key = f"{ACTIVITY_REFERENCE}{row.activity_id}"[:100]
    return LedgerEntry(
        at=at, order_key=key, qty=qty, price=price or _ZERO, kind="transfer", is_estimated=is_estimated or not price
    )


def _as_entered(entry: LedgerEntry, entered: EnteredPrice | None) -> LedgerEntry:
    """A person's number stands for what Alpaca does not say, and for nothing that it says."""
    if entered is None or not entry.is_estimated:
        return entry
    return replace(
        entry, price=entered.price, entered_by=entered.entered_by, price_at_broker=entry.price if entry.price else None
    )


def _basis(held: NetPosition, total: Decimal, theirs: BrokerPosition) -> Decimal:
    cost = theirs.qty * theirs.avg_entry_price - held.qty * (held.avg_entry_price or _ZERO)
    price = cost / total if total else _ZERO
    return price.quantize(Decimal("0.000000001")) if price > 0 else theirs.avg_entry_price


def _transfer_sentence(symbol: str, row: BrokerActivity, entry: LedgerEntry) -> str:
    word = TRANSFERS[row.activity_type]
    way = "in" if entry.qty > 0 else "out"
    whose = f", entered by {entry.entered_by}" if entry.entered_by else ", a guess from the average at Alpaca"
    basis = f"{average(entry.price)} a share{whose if entry.is_estimated else ''}"
    return (
        f"{plain(abs(entry.qty))} {symbol} were {word} ({row.activity_type}, {way}) on {row.day[:10]}; basis {basis}."
    )
