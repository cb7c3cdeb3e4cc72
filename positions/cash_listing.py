"""The cash ledger as rows for people, and what it adds up to."""

from dataclasses import dataclass
from decimal import Decimal

from broker.models import Account
from positions.cash import OPENING, cash_books, paid_by_corrections, paid_by_fills
from positions.models import CashEntry
from ui.tables import Column, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class CashRow:
    """An entry with the sum of all entries up to it, the opening balance first."""

    entry: CashEntry
    running_sum: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CashSums:
    """What the cash is made of. `expected` is None while the ledger has no opening balance."""

    entries: Decimal
    fills: Decimal
    corrections: Decimal
    expected: Decimal | None
    tolerance: Decimal | None


CASH: Table[CashRow] = Table(
    in_database=False,
    has_chooser=True,
    default_sort="-number",
    columns=(
        Column(name="number", kind="number", label="No.", value=lambda row: row.entry.pk),
        Column(name="day", label="Day", kind="time", value=lambda row: row.entry.day.isoformat()),
        Column(name="activity_type", label="Entry", value=lambda row: row.entry.activity_type),
        Column(name="symbol", label="Symbol", value=lambda row: row.entry.symbol),
        Column(name="description", label="Text", value=lambda row: row.entry.description),
        Column(name="net_amount", kind="number", label="Amount (USD)", value=lambda row: row.entry.net_amount),
        Column(name="running_sum", kind="number", label="Sum of entries", value=lambda row: row.running_sum),
        Column(name="recorded_by", label="Recorded by", value=lambda row: row.entry.recorded_by),
        Column(name="activity_id", label="Id at Alpaca", value=lambda row: row.entry.activity_id),
    ),
)


def cash_rows(account: Account) -> list[CashRow]:
    entries = list(CashEntry.objects.filter(account=account).defer("raw").order_by("day", "pk"))
    entries.sort(key=lambda entry: entry.activity_type != OPENING)
    total, rows = Decimal(0), []
    for entry in entries:
        total += entry.net_amount
        rows.append(CashRow(entry=entry, running_sum=total))
    return rows


def cash_sums(account: Account, rows: list[CashRow]) -> CashSums:
    books = cash_books(account)
    return CashSums(
        entries=rows[-1].running_sum if rows else Decimal(0),
        fills=paid_by_fills(account).net,
        corrections=paid_by_corrections(account),
        expected=books.expected if books else None,
        tolerance=books.tolerance if books else None,
    )
