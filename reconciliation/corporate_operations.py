"""What a fix about shares without a trade, or about cash, writes. Our database only, in the caller's transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from broker.mapping import to_activity
from broker.models import Account
from broker.numbers import exact, exact_or_none
from broker.types import BrokerFill
from positions.cash import book_activity, book_correction
from positions.models import Adjustment, CashEntry
from positions.rebuilding import ledger_of
from reconciliation.entered_facts import entered_columns
from reconciliation.errors import FixRefused
from reconciliation.guesses import FIX_REFERENCE
from reconciliation.models import Fix


def book(*, operation: Mapping[str, Any], account: Account, fix_pk: int, now: datetime) -> tuple[str, list[int]]:
    """Do one operation of this module; return where its rows are, and which, for the way back."""
    match operation["op"]:
        case "book_entry":
            line = book_entry(operation=operation, account=account, fix_pk=fix_pk, now=now)
            return "adjustments", [line.pk]
        case "book_cash_entry":
            entry = book_cash_entry(operation=operation, account=account, fix_pk=fix_pk, now=now)
            return "cash_entries", [entry.pk] if entry else []
        case _:
            correction = book_cash_correction(operation=operation, account=account, fix_pk=fix_pk, now=now)
            return "cash_entries", [correction.pk]


def book_entry(*, operation: Mapping[str, Any], account: Account, fix_pk: int, now: datetime) -> Adjustment:
    """Book one line of the ledger at its own time; what Alpaca has not dated comes behind everything there is."""
    symbol, reference = operation["symbol"], operation["reference"]
    if Adjustment.objects.filter(account=account, reference=reference).exists():
        raise FixRefused(f"The entry {reference} is in the ledger already.")
    return Adjustment.objects.create(
        account=account,
        symbol=symbol,
        kind=operation["kind"],
        qty=exact(operation["qty"]),
        price=exact(operation["price"]),
        ratio=exact_or_none(operation["ratio"]),
        effective_at=_moment(operation, account, now),
        reference=reference,
        reason=f"Fix {fix_pk}: {operation['reason']}"[:300],
        is_estimated=operation["is_estimated"],
        **entered_columns(operation),
        recorded_at=now,
        recorded_by=f"{FIX_REFERENCE}{fix_pk}",
    )


def _moment(operation: Mapping[str, Any], account: Account, now: datetime) -> datetime:
    if operation["at"]:
        return datetime.fromisoformat(operation["at"])
    ledger = ledger_of(account, [operation["symbol"]]).get(operation["symbol"], ())
    latest = max((entry.at for entry in ledger), default=now)
    return max(now, latest + timedelta(microseconds=1))


def book_cash_entry(*, operation: Mapping[str, Any], account: Account, fix_pk: int, now: datetime) -> CashEntry | None:
    """Copy Alpaca's entry; None if somebody has booked it meanwhile."""
    activity = to_activity(operation["activity"])
    if isinstance(activity, BrokerFill):
        raise FixRefused(f"Activity {activity.activity_id} is a fill, not an entry of cash.")
    return book_activity(account=account, activity=activity, actor=f"{FIX_REFERENCE}{fix_pk}", now=now)


def book_cash_correction(*, operation: Mapping[str, Any], account: Account, fix_pk: int, now: datetime) -> CashEntry:
    """Book money that nothing explains; the reason is that of the person who approved it."""
    fix = Fix.objects.get(pk=fix_pk)
    if not fix.override_reason:
        raise FixRefused("Nobody said why this money is booked.")
    return book_correction(
        account=account,
        amount=exact(operation["amount"]),
        reference=f"{FIX_REFERENCE}{fix_pk}:cash",
        reason=f"{fix.override_reason} ({fix.approved_by})",
        actor=f"{FIX_REFERENCE}{fix_pk}",
        now=now,
    )


def symbols_of(fix: Fix) -> set[str]:
    """Every symbol whose ledger the fix writes: a new name touches two."""
    return {fix.symbol, *(operation.get("symbol") or "" for operation in fix.plan)} - {""}
