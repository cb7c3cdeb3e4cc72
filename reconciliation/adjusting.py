"""Plan the repair of a position that no fill explains: an explicit, signed entry, or one taken back. Pure."""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from broker.numbers import plain
from broker.types import BrokerPosition
from positions.accounting import LedgerEntry, NetPosition, as_broker_counts, position_at
from reconciliation.difference import Difference
from reconciliation.entered_facts import entered_facts, told_as_entered
from reconciliation.evidence import BrokerEvidence, EnteredPrice, LocalRecord
from reconciliation.guesses import guesses_to_take_back, superseding_fills
from reconciliation.kinds import Kind
from reconciliation.position_comparison import averages_agree
from reconciliation.proposals import Operation, Proposal, make_proposal, position_columns
from reconciliation.without_trade import TRANSFERS, unbooked

GuessKind = Literal["correction", "transfer"]

ZERO = Decimal(0)


def adjust_position(root: Difference, record: LocalRecord, evidence: BrokerEvidence) -> Proposal:
    """Make the ledger agree with Alpaca's position. It infers, so it always needs a person."""
    ledger = record.ledgers.get(root.symbol, ())
    position = evidence.positions.get(root.symbol)
    # Alpaca's average tells of its own prices, also where a person entered another one here.
    held, counted = position_at(ledger), position_at(as_broker_counts(ledger))
    is_average = root.kind == Kind.POSITION_AVG_PRICE
    if held.qty == _qty(position) and not (is_average and _average_differs(counted, position)):
        return rebuild(root, record, evidence)
    kind = _kind(root.symbol, record, evidence)
    entered = record.entered.get(root.key) if kind == "correction" else None
    entries = _adjusting_entries(root, held, counted, evidence, kind=kind, entered=entered)
    before, after, broker = position_columns(root.symbol, [], record, evidence, extra=entries)
    title = f"Take over Alpaca's average price of {root.symbol}" if is_average else _title(root.symbol, entries)
    return make_proposal(
        root,
        action="adjust_average" if is_average else "adjust_position",
        title=title,
        operations=[book_line(root, entry, held, reason=entered.reason if entered else "") for entry in entries],
        before={"position": before},
        broker={"position": broker},
        after={"position": after},
        about=[root],
    )


def rebuild(root: Difference, record: LocalRecord, evidence: BrokerEvidence) -> Proposal:
    before, after, broker = position_columns(root.symbol, [], record, evidence)
    return make_proposal(
        root,
        action="rebuild_position",
        title=f"Rebuild the position in {root.symbol} from its fills",
        operations=[{"op": "rebuild", "symbol": root.symbol}],
        before={"position": before},
        broker={"position": broker},
        after={"position": after},
        about=[root],
    )


def _qty(position: BrokerPosition | None) -> Decimal:
    return position.qty if position else ZERO


def _average_differs(held: NetPosition, position: BrokerPosition | None) -> bool:
    if position is None or held.avg_entry_price is None:
        return False
    return not averages_agree(held.avg_entry_price, position)


# --- Entries that close the gap ---------------------------------------------------------------------------------


def _kind(symbol: str, record: LocalRecord, evidence: BrokerEvidence) -> GuessKind:
    """A correction stands for trades, which were paid for. Where Alpaca tells of shares that came or went without
    one, the gap is most likely theirs, and money moved for none of it."""
    told = unbooked(symbol, record, evidence)
    moves_shares = any(row.qty and row.activity_type in {"SPLIT", *TRANSFERS} for row in told)
    return "transfer" if moves_shares else "correction"


def _adjusting_entries(
    root: Difference,
    held: NetPosition,
    counted: NetPosition,
    evidence: BrokerEvidence,
    *,
    kind: GuessKind,
    entered: EnteredPrice | None,
) -> tuple[LedgerEntry, ...]:
    """What is added comes at Alpaca's average; what is gone leaves at its own average, or at what a person entered.

    Leaving at the average books no profit or loss: the true exit price is not known, and a guess would be one.
    """
    position = evidence.positions.get(root.symbol)
    there = _qty(position)
    parts: list[tuple[Decimal, Decimal, str]] = []
    leaving = _leaving(held.qty, there)
    if leaving and held.avg_entry_price is not None:
        price, by = (entered.price, entered.entered_by) if entered else (held.avg_entry_price, "")
        parts.append((leaving, price, by))
    coming = there - held.qty - leaving
    if coming and position is not None:
        parts.append((coming, _price_that_gives(position, counted), ""))
    keys = f"{root.key}|{plain(held.qty)}|{plain(there)}|{parts}"
    name = f"{root.key}:{hashlib.sha256(keys.encode()).hexdigest()[:24]}"
    # Dated after everything that the ledger holds; references of one moment sort as they are booked.
    entries = [
        LedgerEntry(
            at=evidence.read_started_at, order_key=f"{name}:{number}", qty=qty, price=price, kind=kind,
            is_estimated=True, entered_by=by,
        )
        for number, (qty, price, by) in enumerate(parts)
    ]  # fmt: skip
    return (*entries, *_average(root, name, counted, entries, evidence))


def _leaving(held: Decimal, there: Decimal) -> Decimal:
    """The signed part of the gap that closes what is held: all of it when the side changes."""
    if held * there < 0:
        return -held
    return there - held if abs(there) < abs(held) else ZERO


def _price_that_gives(position: BrokerPosition, held: NetPosition) -> Decimal:
    """The price at which the added shares must be booked so that the average becomes Alpaca's."""
    average, added = position.avg_entry_price, abs(position.qty) - abs(held.qty)
    if held.avg_entry_price is None or held.qty * position.qty <= 0 or added <= 0:
        return average
    price = (abs(position.qty) * average - abs(held.qty) * held.avg_entry_price) / added
    return price.quantize(Decimal("0.000000001")) if price > 0 else average


def _average(
    root: Difference, name: str, held: NetPosition, entries: Sequence[LedgerEntry], evidence: BrokerEvidence
) -> tuple[LedgerEntry, ...]:
    """The quantity is right now; if the average is not Alpaca's, take that over in the same fix."""
    position = evidence.positions.get(root.symbol)
    if position is None or not _average_differs(_after(held, entries, evidence), position):
        return ()
    entry = LedgerEntry(
        at=evidence.read_started_at, order_key=f"{name}:average", qty=ZERO, price=position.avg_entry_price,
        kind="average", is_estimated=root.kind != Kind.POSITION_AVG_PRICE,
    )  # fmt: skip
    return (entry,)


def _after(held: NetPosition, entries: Sequence[LedgerEntry], evidence: BrokerEvidence) -> NetPosition:
    if held.avg_entry_price is None:
        return position_at(entries)
    before = LedgerEntry(at=evidence.read_started_at, order_key="", qty=held.qty, price=held.avg_entry_price)
    return position_at([before, *entries])


def book_line(root: Difference, entry: LedgerEntry, held: NetPosition, *, reason: str = "") -> Operation:
    return {
        "op": "book_adjustment",
        "kind": entry.kind,
        "symbol": root.symbol,
        "qty": plain(entry.qty),
        "price": plain(entry.price),
        "reference": entry.order_key,
        "reason": reason if entry.entered_by else root.sentence,
        "is_estimated": entry.is_estimated,
        "stands_on": stands_on(held),
        **entered_facts(entry),
    }


def stands_on(held: NetPosition) -> dict[str, str | None]:
    """What the ledger must hold when the entry is booked: on another ledger it would be another fix."""
    return {"qty": plain(held.qty), "avg_entry_price": plain(held.avg_entry_price)}


def _title(symbol: str, entries: Sequence[LedgerEntry]) -> str:
    booked = [entry for entry in entries if entry.kind != "average"]
    parts = [
        f"{'+' if entry.qty > 0 else ''}{plain(entry.qty)} {symbol} at {plain(entry.price)}{told_as_entered(entry)}"
        for entry in booked
    ]
    what = "a correction" if booked[0].kind == "correction" else "shares without a trade, a guess"
    return f"Book {' and '.join(parts)} as {what}"


# --- Guesses whose truth has come --------------------------------------------------------------------------------


def plan_superseded(
    root: Difference, followers: Sequence[Difference], record: LocalRecord, evidence: BrokerEvidence
) -> Proposal | None:
    """Take the guess back. It is a copy of a fact only where the fills that it stood in for are known one by one."""
    guesses, held = guesses_to_take_back(root.symbol, [], record, evidence), position_at(record.ledgers[root.symbol])
    without = frozenset(entry.order_key for entry in guesses)
    before, after, broker = position_columns(root.symbol, [], record, evidence, without=without)
    first, *others = [take_back(entry, root.symbol) for entry in guesses]
    qty = plain(sum((entry.qty for entry in guesses), ZERO))
    return make_proposal(
        root,
        action="take_back",
        title=f"Take back the correction of {qty} {root.symbol}: its true fills are booked",
        operations=[{**first, "stands_on": stands_on(held)}, *others],
        before={"position": before},
        broker={"position": broker},
        after={"position": after},
        about=[root, *followers],
        is_guess=not superseding_fills(guesses, record),
    )


def take_back(entry: LedgerEntry, symbol: str) -> Operation:
    return {"op": "take_back_adjustment", "symbol": symbol, "reference": entry.order_key, "qty": plain(entry.qty)}
