"""Compare what happened to shares without a trade: splits, new symbols, transfers. Pure.

Such an entry of Alpaca's counts as booked when the position agrees already: an opening balance may hold it. Nothing
is claimed that does not lead to Alpaca's position to the last share.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from broker.numbers import plain
from broker.times import NEW_YORK
from broker.types import BrokerActivity, BrokerPosition
from positions.accounting import LedgerEntry, NetPosition, as_broker_counts, fold, position_at
from positions.exact_numbers import split_factor
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.position_comparison import averages_agree, symbols_in_flight
from reconciliation.transfer_comparison import compare_transfers
from reconciliation.without_trade import (
    ACTIVITY_REFERENCE,
    agrees,
    explained_positions,
    ledger_with_new_fills,
    moment_of,
    qty_there,
    unbooked,
)
from reconciliation.wording import average, position_facts

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
            yield from _split(symbol, record, evidence) or compare_transfers(symbol, record, evidence)


def _told_of(evidence: BrokerEvidence) -> set[str]:
    return {activity.symbol for activity in evidence.other_activities if activity.symbol}


# --- Splits ---------------------------------------------------------------------------------------------------


def _split(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> list[Difference]:
    """One difference for all the splits of the symbol that are not booked yet, or none."""
    ledger = ledger_with_new_fills(symbol, record, evidence)
    rows = [a for a in unbooked(symbol, record, evidence) if a.activity_type == "SPLIT"]
    counted = as_broker_counts(ledger)  # their average is told from Alpaca's prices, not from ours
    entries = _announced(counted, rows, evidence.positions.get(symbol)) if rows else []
    if not entries and not rows:
        entries = _unannounced(symbol, counted, record, evidence)
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
    there = f"{plain(theirs.qty)} at {average(theirs.avg_entry_price)}" if theirs else "none, sold meanwhile"
    here = (
        f"{plain(held.qty)} at {average(held.avg_entry_price)}" if held.avg_entry_price is not None else plain(held.qty)
    )
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
    comes = replace(leaves, order_key=f"{key[:90]}:in", qty=held.qty, **_entered_before(old, record, evidence))
    return Difference(
        kind=Kind.SYMBOL_CHANGE,
        subject=f"{old}>{new}",
        symbol=old,
        local={"symbol": old, **position_facts(record.positions.get(old))},
        broker={"symbol": new, **position_facts(evidence.positions[new])},
        sentence=f"{old} is called {new} now, the same asset: {plain(held.qty)} shares at {average(price)} go over "
        "with what they cost. Open orders are not touched.",
        dollars=abs(held.qty * price),
        entries=(leaves,),
        entries_elsewhere=((new, comes),),
        explains=(*explained_positions(old, is_exact=True), *explained_positions(new, is_exact=True)),
        holds_cursor_at=min(moments, default=None),
    )


def _entered_before(old: str, record: LocalRecord, evidence: BrokerEvidence) -> dict[str, Any]:
    """A number that a person entered goes over with the shares, and so does what Alpaca counts in its place."""
    ledger = ledger_with_new_fills(old, record, evidence)
    counted, trip = position_at(as_broker_counts(ledger)), fold(ledger)[-1]
    if not trip.entered_by or counted.avg_entry_price == trip.avg_entry_price:
        return {}
    return {"entered_by": trip.entered_by[:150], "price_at_broker": counted.avg_entry_price, "is_estimated": True}
