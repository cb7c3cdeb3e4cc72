"""Corrections that stood in for fills which nobody knew, and what becomes of them once the fills are here. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from broker.types import BrokerFill
from positions.accounting import LedgerEntry, position_at
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.ledger_entries import entry_of

#: What a fix booked begins so, with the number of the fix behind it.
FIX_REFERENCE = "fix:"


def guesses_to_take_back(
    symbol: str, fills: Sequence[BrokerFill], record: LocalRecord, evidence: BrokerEvidence
) -> tuple[LedgerEntry, ...]:
    """The corrections of earlier fixes without which ledger and new fills are exactly Alpaca's position.

    Each was a guess at fills that were not listed then. Once those are here, both together would count twice.
    """
    ledger, added = record.ledgers.get(symbol, ()), [entry_of(fill) for fill in fills]
    position = evidence.positions.get(symbol)
    there = position.qty if position else Decimal(0)
    guesses = _groups(ledger)
    if position_at([*ledger, *added]).qty == there:
        return _netting_guesses(guesses, added, record)
    for chosen in (*guesses, [entry for group in guesses for entry in group]):
        kept = [entry for entry in ledger if entry not in chosen]
        if chosen and position_at([*kept, *added]).qty == there:
            return tuple(chosen)
    return ()


def _groups(ledger: Sequence[LedgerEntry]) -> list[list[LedgerEntry]]:
    """The entries of each fix that guessed shares."""
    by_fix: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in ledger:
        if entry.kind != "fill" and entry.order_key.startswith(FIX_REFERENCE):
            by_fix[entry.order_key.rpartition(":")[0]].append(entry)
    return [group for group in by_fix.values() if any(entry.is_estimated and entry.qty for entry in group)]


def _netting_guesses(
    groups: Sequence[list[LedgerEntry]], added: Sequence[LedgerEntry], record: LocalRecord
) -> tuple[LedgerEntry, ...]:
    """Guesses that leave no share between them, once all their true fills are here.

    The quantity is right with them and without them; the profit counts twice. Nothing but the fills tells that they
    came, so each side must have come to the share.
    """
    chosen = [entry for group in groups for entry in group]
    if len(groups) < 2 or sum((entry.qty for entry in chosen), Decimal(0)):
        return ()
    booked = {entry.order_key: entry.qty for entries in record.ledgers.values() for entry in entries}
    keys = dict.fromkeys(key for guess in chosen for key in record.came_later.get(guess.order_key, ()))
    last = max(entry.at for entry in chosen)
    came = [booked.get(key, Decimal(0)) for key in keys] + [entry.qty for entry in added if entry.at <= last]
    return tuple(chosen) if _sides(came) == _sides([entry.qty for entry in chosen]) else ()


def _sides(quantities: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    """What was bought and what was sold, which a sum would cancel out."""
    zero = Decimal(0)
    return sum((qty for qty in quantities if qty > 0), zero), sum((qty for qty in quantities if qty < 0), zero)


def superseding_fills(guesses: Sequence[LedgerEntry], record: LocalRecord) -> tuple[str, ...]:
    """Ids of the booked fills that the guesses stood in for: from before them, booked after them, of the same size.

    Empty where no fill says so: that the quantities fit may then be chance.
    """
    symbols_fills = {entry.order_key: entry.qty for entries in record.ledgers.values() for entry in entries}
    later = dict.fromkeys(key for guess in guesses for key in record.came_later.get(guess.order_key, ()))
    guessed = sum((guess.qty for guess in guesses), Decimal(0))
    came = sum((symbols_fills.get(key, Decimal(0)) for key in later), Decimal(0))
    return tuple(later) if later and came == guessed else ()
