"""Compare what happened to shares without a trade: splits, new symbols, transfers. Pure.

Such an entry of Alpaca's counts as booked when the position agrees already: an opening balance may hold it. Nothing
is claimed that does not lead to Alpaca's position to the last share.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from broker.numbers import plain
from broker.times import NEW_YORK
from broker.types import BrokerActivity, BrokerPosition
from positions.accounting import LedgerEntry, NetPosition, position_at, split_factor
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.position_comparison import averages_agree, symbols_in_flight
from reconciliation.without_trade import (
    ACTIVITY_REFERENCE,
    TRANSFERS,
    agrees,
    explained_positions,
    ledger_with_new_fills,
    moment_of,
    qty_there,
    unbooked,
)
from reconciliation.wording import position_facts

#: A split that nobody has announced is believed only in numbers as small as these.
_PLAIN_PARTS = 100
_ZERO = Decimal(0)


def compare_corporate(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    moving = symbols_in_flight(record, evidence)
    renamed = list(_renamed(record, evidence, moving))
    yield from renamed
    done = {symbol for difference in renamed for symbol in (difference.symbol, difference.broker["symbol"])}
    for symbol in sorted((set(record.ledgers) | _told_of(evidence)) - moving - done):
        if not agrees(symbol, record, evidence):
            yield from _split(symbol, record, evidence) or _transfer(symbol, record, evidence)


def _told_of(evidence: BrokerEvidence) -> set[str]:
    return {activity.symbol for activity in evidence.other_activities if activity.symbol}


# --- Splits ---------------------------------------------------------------------------------------------------


def _split(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> list[Difference]:
    """One difference for all the splits of the symbol that are not booked yet, or none."""
    ledger = ledger_with_new_fills(symbol, record, evidence)
    rows = [a for a in unbooked(symbol, record, evidence) if a.activity_type == "SPLIT"]
    entries = _announced(ledger, rows, evidence.positions.get(symbol)) if rows else []
    if not entries and not rows:
        entries = _unannounced(symbol, ledger, record, evidence)
    if not entries:
        return []
    paid = [row for row in rows if row.net_amount]
    entries += _fraction(symbol, [*ledger, *entries], entries, paid, evidence)
    held = position_at(ledger, entries[0].at - timedelta(microseconds=1)) if rows else position_at(ledger)
    after = position_at([*ledger, *entries])
    is_exact = after.qty == qty_there(symbol, evidence)
    theirs = evidence.positions.get(symbol)
    return [
        Difference(
            kind=Kind.SPLIT,
            subject=symbol,
            symbol=symbol,
            local=position_facts(record.positions.get(symbol)),
            broker={
                **position_facts(theirs),
                "ratio": plain(entries[0].ratio),
                "activity_ids": ", ".join(row.activity_id for row in rows),
            },
            sentence=_split_sentence(symbol, entries, held, evidence, is_told=bool(rows)),
            dollars=abs(held.qty * held.avg_entry_price) if held.avg_entry_price is not None else None,
            entries=tuple(entries),
            activities=tuple(paid),
            explains=explained_positions(symbol, is_exact=is_exact),
            holds_cursor_at=entries[0].at if rows else None,
        )
    ]


def _announced(
    ledger: list[LedgerEntry], rows: Sequence[BrokerActivity], theirs: BrokerPosition | None
) -> list[LedgerEntry]:
    """An entry for each split that Alpaca tells of, in their order; rows of one moment belong together."""
    moves: dict[datetime, list[BrokerActivity]] = {}
    for row in rows:
        at = moment_of(row)
        if at is not None and row.qty and not row.net_amount:
            moves.setdefault(at, []).append(row)
    entries: list[LedgerEntry] = []
    for at, group in sorted(moves.items()):
        held = position_at([*ledger, *entries], at)
        ratio = _ratio(held, sum((row.qty or _ZERO for row in group), _ZERO), theirs)
        if ratio is not None:
            entries.append(_split_entry(at, f"{ACTIVITY_REFERENCE}{group[0].activity_id}", ratio, held))
    return entries


def _ratio(held: NetPosition, difference: Decimal, theirs: BrokerPosition | None) -> Fraction | None:
    """New shares for one old share. Alpaca's average decides where the shares alone do not say it: a reverse split
    that leaves whole shares only has taken a little more than its ratio."""
    if not held.qty or held.avg_entry_price is None or held.qty * (held.qty + difference) <= 0:
        return None
    by_shares = Fraction(held.qty + difference) / Fraction(held.qty)
    if theirs is None or not theirs.avg_entry_price:
        return by_shares
    if averages_agree(_over(held.avg_entry_price, by_shares), theirs):
        return by_shares
    by_average = (Fraction(held.avg_entry_price) / Fraction(theirs.avg_entry_price)).limit_denominator(_PLAIN_PARTS)
    leaves = Fraction(held.qty) * by_average - Fraction(theirs.qty)
    fits = by_average > 0 and averages_agree(_over(held.avg_entry_price, by_average), theirs) and abs(leaves) < 1
    return by_average if fits else by_shares


def _unannounced(
    symbol: str, ledger: list[LedgerEntry], record: LocalRecord, evidence: BrokerEvidence
) -> list[LedgerEntry]:
    """Quantity and average moved in inverse ratio and no fill tells why: nothing else looks like that."""
    held, theirs = position_at(ledger), evidence.positions.get(symbol)
    if (
        theirs is None
        or not held.qty
        or held.avg_entry_price is None
        or len(ledger) != len(record.ledgers.get(symbol, ()))
    ):
        return []
    ratio = Fraction(theirs.qty) / Fraction(held.qty)
    is_plain = ratio > 0 and ratio != 1 and ratio.limit_denominator(_PLAIN_PARTS) == ratio
    if not is_plain or ratio.numerator > _PLAIN_PARTS or not averages_agree(_over(held.avg_entry_price, ratio), theirs):
        return []
    return [_split_entry(evidence.read_started_at, f"split:{symbol}:{plain(held.qty)}", ratio, held)]


def _split_entry(at: datetime, key: str, ratio: Fraction, held: NetPosition) -> LedgerEntry:
    return LedgerEntry(
        at=at, order_key=key[:100], qty=_ZERO, price=_over(held.avg_entry_price or _ZERO, ratio), kind="split",
        ratio=_decimal(ratio),
    )  # fmt: skip


def _decimal(ratio: Fraction) -> Decimal:
    return Decimal(ratio.numerator) / Decimal(ratio.denominator)


def _over(price: Decimal, ratio: Fraction) -> Decimal:
    return price * ratio.denominator / ratio.numerator


def _fraction(
    symbol: str,
    ledger: list[LedgerEntry],
    splits: Sequence[LedgerEntry],
    paid: Sequence[BrokerActivity],
    evidence: BrokerEvidence,
) -> list[LedgerEntry]:
    """What a reverse split left over of a share: it leaves at what was paid for it, or else at its own average."""
    after = position_at(ledger)
    gap = qty_there(symbol, evidence) - after.qty
    if not gap or abs(gap) >= 1 or gap * after.qty >= 0 or after.avg_entry_price is None:
        return []
    last = splits[-1]
    dollars = sum((row.net_amount or _ZERO for row in paid), _ZERO)
    return [
        LedgerEntry(
            at=last.at + timedelta(microseconds=1),
            order_key=f"{last.order_key[:90]}:fraction",
            qty=gap,
            price=abs(dollars / gap) if dollars else after.avg_entry_price,
            kind="transfer",
            is_estimated=not dollars,
        )
    ]


def _split_sentence(
    symbol: str, entries: Sequence[LedgerEntry], held: NetPosition, evidence: BrokerEvidence, *, is_told: bool
) -> str:
    ratio = split_factor(entries[0].ratio or Decimal(1))
    how = f"{ratio.numerator} for {ratio.denominator}"
    day = f"{entries[0].at.astimezone(NEW_YORK):%-d %B %Y}"
    theirs = evidence.positions.get(symbol)
    there = f"{plain(theirs.qty)} at {theirs.avg_entry_price:.4f}" if theirs else "none, sold meanwhile"
    here = f"{plain(held.qty)} at {held.avg_entry_price:.4f}" if held.avg_entry_price is not None else plain(held.qty)
    told = f"{symbol} was split {how} on {day}" if is_told else f"{symbol} looks split {how}, untold by Alpaca so far"
    return f"{told}: {here} here, {there} at Alpaca. What the shares cost stays; open orders are not touched."


# --- New symbols ----------------------------------------------------------------------------------------------


def _renamed(record: LocalRecord, evidence: BrokerEvidence, moving: frozenset[str]) -> Iterator[Difference]:
    gone = [s for s in record.positions if s not in evidence.positions and not agrees(s, record, evidence)]
    come = [s for s in evidence.positions if not agrees(s, record, evidence)]
    for old in sorted(set(gone) - moving):
        held = position_at(ledger_with_new_fills(old, record, evidence))
        new = next((s for s in sorted(set(come) - moving) if _is_renamed(old, s, held, record, evidence)), None)
        if new is not None and held.avg_entry_price is not None:
            yield _new_symbol(old, new, held, record, evidence)


def _is_renamed(old: str, new: str, held: NetPosition, record: LocalRecord, evidence: BrokerEvidence) -> bool:
    """The same asset under another symbol, or a pair of entries that says so; and all of it went over."""
    there = evidence.positions[new]
    is_same = there.asset_id != "" and record.asset_ids.get(old) == there.asset_id
    groups = [
        {a.raw.get("group_id") for a in unbooked(symbol, record, evidence) if a.activity_type == "NC"} - {None}
        for symbol in (old, new)
    ]
    was = position_at(ledger_with_new_fills(new, record, evidence)).qty
    return bool(held.qty) and there.qty == was + held.qty and (is_same or bool(groups[0] & groups[1]))


def _new_symbol(old: str, new: str, held: NetPosition, record: LocalRecord, evidence: BrokerEvidence) -> Difference:
    rows = [a for s in (old, new) for a in unbooked(s, record, evidence) if a.activity_type == "NC"]
    moments = [moment for row in rows if (moment := moment_of(row)) is not None]
    told = min(moments, default=evidence.read_started_at)
    at = max([told, *(e.at + timedelta(microseconds=1) for e in ledger_with_new_fills(old, record, evidence))])
    key = f"{ACTIVITY_REFERENCE}{rows[0].activity_id}" if rows else f"rename:{old}:{new}:{plain(held.qty)}"
    price = held.avg_entry_price or _ZERO
    leaves = LedgerEntry(at=at, order_key=f"{key[:90]}:out", qty=-held.qty, price=price, kind="transfer")
    return Difference(
        kind=Kind.SYMBOL_CHANGE,
        subject=f"{old}>{new}",
        symbol=old,
        local={"symbol": old, **position_facts(record.positions.get(old))},
        broker={"symbol": new, **position_facts(evidence.positions[new])},
        sentence=f"{old} is called {new} now, the same asset: {plain(held.qty)} shares at {price:.4f} go over with "
        "what they cost. Open orders are not touched.",
        dollars=abs(held.qty * price),
        entries=(leaves,),
        entries_elsewhere=((new, replace(leaves, order_key=f"{key[:90]}:in", qty=held.qty)),),
        explains=(*explained_positions(old, is_exact=True), *explained_positions(new, is_exact=True)),
        holds_cursor_at=min(moments, default=None),
    )


# --- Transfers ------------------------------------------------------------------------------------------------


def _transfer(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    ledger = ledger_with_new_fills(symbol, record, evidence)
    rows = [a for a in unbooked(symbol, record, evidence) if a.activity_type in TRANSFERS and a.qty]
    moves = sorted(((at, row) for row in rows if (at := moment_of(row)) is not None), key=lambda move: move[0])
    total = sum((row.qty or _ZERO for _, row in moves), _ZERO)
    is_exact = bool(moves) and position_at(ledger).qty + total == qty_there(symbol, evidence)
    entries: list[LedgerEntry] = []
    for at, row in moves:
        entry = _transferred(at, row, [*ledger, *entries], total, evidence.positions.get(symbol))
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
        is_estimated, price = True, _basis(position_at(ledger), total, theirs)
    key = f"{ACTIVITY_REFERENCE}{row.activity_id}"[:100]
    return LedgerEntry(
        at=at, order_key=key, qty=qty, price=price or _ZERO, kind="transfer", is_estimated=is_estimated or not price
    )


def _basis(held: NetPosition, total: Decimal, theirs: BrokerPosition) -> Decimal:
    cost = theirs.qty * theirs.avg_entry_price - held.qty * (held.avg_entry_price or _ZERO)
    price = cost / total if total else _ZERO
    return price.quantize(Decimal("0.000000001")) if price > 0 else theirs.avg_entry_price


def _transfer_sentence(symbol: str, row: BrokerActivity, entry: LedgerEntry) -> str:
    word = TRANSFERS[row.activity_type]
    way = "in" if entry.qty > 0 else "out"
    basis = f"{entry.price:.4f} a share{', a guess from the average at Alpaca' if entry.is_estimated else ''}"
    return (
        f"{plain(abs(entry.qty))} {symbol} were {word} ({row.activity_type}, {way}) on {row.day[:10]}; basis {basis}."
    )
